"""Airbyte's tests: its suite, by acceptance-test-config.yml, and PyAirbyte's `pyab validate`."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from airbyte_cdk.test.models import ConnectorTestScenario
from airbyte_cdk.test.standard_tests import SourceTestSuiteBase

from devtools.data.seeding import add_worker_and_block
from devtools.servers.faults import recorded_waits
from devtools.servers.prefect import PrefectServer
from integration_tests.connecting import ACCEPTANCE, point_at
from source_prefect import SourcePrefect

pytest_plugins = ["airbyte_cdk.test.standard_tests.pytest_hooks"]

PROGRAMS = Path(sys.executable).parent

# The scenarios are collected before there is a server: they name files that are written once it
# runs.
CONFIGS = tempfile.TemporaryDirectory(prefix="acceptance-")


@pytest.fixture(scope="module", autouse=True)
def configs(filled_server: PrefectServer) -> Iterator[Path]:
    """The configs, with the address of the server that runs."""
    add_worker_and_block(filled_server)
    folder = Path(shutil.copytree(ACCEPTANCE, CONFIGS.name, dirs_exist_ok=True))
    point_at(filled_server, folder)
    yield folder
    CONFIGS.cleanup()


@pytest.fixture
def _waits() -> Iterator[None]:
    """Where no server listens, a connection is tried several times."""
    with recorded_waits():
        yield


@pytest.mark.usefixtures("_waits")
@pytest.mark.filterwarnings("error::airbyte_cdk.test.standard_tests.DiscoveredCatalogWarning")
class TestStandards(SourceTestSuiteBase):
    """Airbyte's suite on the running server. It finds the class by the name of the folder."""

    connector = SourcePrefect

    @classmethod
    def get_scenarios(cls) -> list[ConnectorTestScenario]:
        declared = super().get_scenarios()
        assert declared
        return [
            scenario.model_copy(update={"config_path": Path(CONFIGS.name) / scenario.config_path.name})
            for scenario in declared
            if scenario.config_path
        ]


def test_pyab_validates_the_connector(configs: Path) -> None:
    done = subprocess.run(
        [PROGRAMS / "pyab", "validate", f"--connector={PROGRAMS / 'source-prefect'}",
         f"--config={configs / 'server.json'}"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Connection check succeeded for `source-prefect`." in done.stderr + done.stdout
