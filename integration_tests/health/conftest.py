from pathlib import Path

import pytest

from devtools.neglected import neglected
from devtools.tables import write_duckdb
from examples.pipeline_health.build import build_duckdb
from integration_tests.conftest import Once


@pytest.fixture(scope="session")
def neglected_file(once: Once) -> Path:
    """A neglected workspace in a DuckDB file, with the models; the tests of the package have passed there."""

    def build(folder: Path) -> None:
        folder.mkdir()
        write_duckdb(folder / "prefect.duckdb", neglected())
        with pytest.MonkeyPatch.context() as environment:
            # DuckDB takes the machine's time zone.
            environment.setenv("TZ", "America/Los_Angeles")
            build_duckdb(folder / "prefect.duckdb", command="build")

    return once("neglected", build) / "prefect.duckdb"
