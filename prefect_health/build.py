"""Builds the models of dbt/ beside the tables of a sync; `build` runs their tests as well."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Installed, the models are in this package; in a checkout, beside it.
_HERE = Path(__file__).resolve().parent
PACKAGE = next(folder for folder in (_HERE / "dbt", _HERE.parent / "dbt") if folder.exists())
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prefect-health"


def marts_schema(schema: str) -> str:
    """The schema of the marts: dbt writes each layer of models into a schema of its own."""
    return f"{schema}_prefect_marts"


class BuildError(Exception):
    """dbt could not build the models, or one of their tests failed: what it said."""


def build_duckdb(database: Path, schema: str = "main", *, command: str = "run", options: Sequence[str] = ()) -> None:
    """Build the models beside the schema of the tables in a DuckDB file."""
    if not database.exists():
        raise FileNotFoundError(
            f"There is no {database}: `make demo` writes one, and so does `python -m examples.to_duckdb`."
        )
    settings = {
        "PREFECT_SOURCE_TARGET": "duckdb",
        "PREFECT_SOURCE_SCHEMA": schema,
        "PREFECT_SOURCE_DUCKDB": database.name,
    }
    run_dbt(command, *options, settings=settings, folder=database.parent)


def build_postgres(url: str, schema: str, *, command: str = "run", options: Sequence[str] = ()) -> None:
    """Build the models beside the schema of the tables in a PostgreSQL database."""
    address = urlsplit(url)
    settings = {
        "PREFECT_SOURCE_TARGET": "postgres",
        "PREFECT_SOURCE_SCHEMA": schema,
        "PGHOST": address.hostname or "localhost",
        "PGPORT": str(address.port or 5432),
        "PGUSER": unquote(address.username or ""),
        "PGPASSWORD": unquote(address.password or ""),
        "PGDATABASE": address.path.removeprefix("/"),
    }
    run_dbt(command, *options, settings=settings, folder=PACKAGE)


def run_dbt(*arguments: str, settings: Mapping[str, str], folder: Path) -> None:
    """Run dbt on the package in a folder, with the environment variables of profiles.yml."""
    # To read the models is half of the work, and the same until a model or a setting changes.
    read = CACHE / f"{sha256(json.dumps([str(PACKAGE), settings], sort_keys=True).encode()).hexdigest()}.msgpack"
    # Of its own, so that two builds at a time do not meet.
    with tempfile.TemporaryDirectory(prefix="dbt-") as target:
        reading = Path(target) / "partial_parse.msgpack"
        if read.exists():
            shutil.copy(read, reading)
        done = subprocess.run(
            [find_dbt(), "--quiet", "--no-use-colors", *arguments, "--project-dir", PACKAGE, "--profiles-dir", PACKAGE,
             "--target-path", target, "--log-path", target],
            env={**os.environ, "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore", **settings},
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise BuildError(done.stdout + done.stderr)
        CACHE.mkdir(parents=True, exist_ok=True)
        kept = Path(shutil.copy(reading, CACHE / f"{Path(target).name}.msgpack"))
        kept.replace(read)


def find_dbt() -> Path:
    """The dbt of `make install` (in its own environment), of this environment, or on the PATH."""
    here = Path(sys.prefix)
    candidates = [here / "dbt" / "bin" / "dbt", here / "bin" / "dbt", shutil.which("dbt")]
    found = next((Path(path) for path in candidates if path and Path(path).exists()), None)
    if found is None:
        raise FileNotFoundError(
            "There is no dbt: install the extra `dbt`, or name the schema of models that are built."
        )
    return found
