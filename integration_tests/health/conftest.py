from pathlib import Path

import pytest

from devtools.data.neglected_workspace import neglected
from devtools.data.tables import Tables, write_duckdb
from devtools.data.year_old_workspaces import aged
from integration_tests.conftest import Once
from prefect_health.build import build_duckdb


@pytest.fixture(scope="session")
def neglected_file(once: Once) -> Path:
    """A neglected workspace in a DuckDB file, with models that passed the package's tests."""
    return _file(once, "neglected", neglected())


@pytest.fixture(scope="session")
def aged_file(once: Once) -> Path:
    """Two workspaces after a year, in the same way."""
    return _file(once, "aged", aged())


def _file(once: Once, name: str, tables: Tables) -> Path:
    def build(folder: Path) -> None:
        folder.mkdir()
        write_duckdb(folder / "prefect.duckdb", tables)
        with pytest.MonkeyPatch.context() as environment:
            # DuckDB takes the machine's time zone.
            environment.setenv("TZ", "America/Los_Angeles")
            build_duckdb(folder / "prefect.duckdb", command="build")

    return once(name, build) / "prefect.duckdb"
