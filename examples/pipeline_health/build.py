"""Builds the models of dbt/ beside the tables of a sync; with the command `build`, their tests as well."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

PACKAGE = Path(__file__).resolve().parents[2] / "dbt"


class BuildError(Exception):
    """dbt could not build the models, or one of their tests failed: what it said."""


def build_duckdb(database: Path, schema: str = "main", *, command: str = "run") -> None:
    """Build the models into the schema of the tables in a DuckDB file."""
    if not database.exists():
        raise FileNotFoundError(f"There is no {database}: `make demo` writes one, and so does examples.to_duckdb.")
    settings = {"PREFECT_SOURCE_TARGET": "duckdb", "PREFECT_SOURCE_DUCKDB": str(database.resolve())}
    run_dbt(command, settings={**settings, "PREFECT_SOURCE_SCHEMA": schema})


def build_postgres(url: str, schema: str, *, command: str = "run") -> None:
    """Build the models into the schema of the tables in a PostgreSQL database."""
    address = urlsplit(url)
    run_dbt(
        command,
        settings={
            "PREFECT_SOURCE_TARGET": "postgres",
            "PREFECT_SOURCE_SCHEMA": schema,
            "PGHOST": address.hostname or "localhost",
            "PGPORT": str(address.port or 5432),
            "PGUSER": unquote(address.username or ""),
            "PGPASSWORD": unquote(address.password or ""),
            "PGDATABASE": address.path.removeprefix("/"),
        },
    )


def run_dbt(*arguments: str, settings: Mapping[str, str]) -> str:
    """Run dbt on the package with these environment variables, which profiles.yml asks for; what it printed."""
    # Of its own, so that two builds at a time do not meet.
    with tempfile.TemporaryDirectory(prefix="dbt-") as folder:
        done = subprocess.run(
            [find_dbt(), "--no-use-colors", *arguments, "--project-dir", PACKAGE, "--profiles-dir", PACKAGE,
             "--target-path", folder, "--log-path", folder],
            env={**os.environ, "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore", **settings},
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise BuildError(done.stdout + done.stderr)
    return done.stdout


def find_dbt() -> Path:
    """The program: that of `make install`, which has an environment of its own, or the one on the PATH."""
    candidates = [Path(sys.prefix) / "dbt" / "bin" / "dbt", shutil.which("dbt")]
    found = next((Path(path) for path in candidates if path and Path(path).exists()), None)
    if found is None:
        raise FileNotFoundError("There is no dbt: run `make install`, or `pip install dbt-core dbt-duckdb`.")
    return found
