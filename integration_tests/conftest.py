import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from devtools.connector import Sync, read_here
from devtools.data.openlineage_tables import write_rows
from devtools.matrix.pythons import ROOT, find_python, install_connector
from devtools.matrix.versions import chosen_python
from devtools.servers.cloud import Workspace
from devtools.servers.faults import impatient
from devtools.servers.prefect import QUIET, PrefectServer, prefect_server
from devtools.servers.proxy import Proxy, proxy
from integration_tests.month import make_month
from integration_tests.openlineage_rows import TABLES
from integration_tests.torture.effort import PROPERTY
from source_prefect import manifest
from source_prefect.progress import ranges, state

# Files of few but long tests. They start first, so that no worker is left with one at the end.
LONG = [
    *(
        "test_examples.py",
        "test_benchmarks.py",
        "test_report.py",
        "test_cloud_workspaces.py",
        "test_airbyte_standards.py",
    ),
    *("test_faults.py", "test_model.py", "test_clocks.py", "test_crashes.py", "test_races.py"),
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def _one_manifest() -> Iterator[None]:
    """Read and resolve the manifest once per process: it is two thirds of a command's start."""
    written, names = manifest.load(), manifest.stream_names(manifest.load())
    complete = manifest.resolved(written, names)
    before = deepcopy(complete)

    def resolved(_: object, names: Collection[str]) -> dict[str, Any]:
        return {**complete, "streams": [each for each in complete["streams"] if each["name"] in names]}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "load", lambda: written)
        patch.setattr(manifest, "resolved", resolved)
        yield
    assert complete == before, "a command has changed the manifest that all share"


@pytest.fixture(scope="session")
def shared_server() -> Iterator[PrefectServer]:
    with prefect_server(QUIET, python=chosen_python()) as running:
        yield running


@pytest.fixture(scope="module")
def server(shared_server: PrefectServer) -> PrefectServer:
    """A Prefect server that is empty when the tests of a module begin."""
    shared_server.clear()
    return shared_server


@pytest.fixture
def empty(shared_server: PrefectServer) -> PrefectServer:
    """A Prefect server that is empty when a test begins."""
    shared_server.clear()
    return shared_server


@pytest.fixture(scope="module")
def gate(server: PrefectServer) -> Iterator[Proxy]:
    """A proxy in front of the module's server, for all of its tests."""
    with proxy(server.url) as running:
        yield running


@pytest.fixture
def empty_gate(empty: PrefectServer) -> Iterator[Proxy]:
    """A proxy in front of the empty server."""
    with proxy(empty.url) as running:
        yield running


@pytest.fixture(scope="module")
def config(server: PrefectServer) -> dict[str, Any]:
    """A config that reads the module's server."""
    return {"connection": {"type": "server", "api_url": server.url}}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport) and report.when == "teardown":
            for name, line in report.user_properties:
                if name == PROPERTY:
                    terminalreporter.write_line(str(line))


Once = Callable[[str, Callable[[Path], None]], Path]

# In the lock of what is whole.
MADE = "made"


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Makes a file or a folder of this name, unless another worker of pytest-xdist has made it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def make_once(name: str, make: Callable[[Path], None]) -> Path:
        path = folder / name
        with path.with_suffix(".lock").open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                make(path)
                lock.write(MADE)
            lock.seek(0)
            assert lock.read() == MADE, f"{path} is unfinished: to make it failed, see the test that came first."
        return path

    return make_once


@pytest.fixture(scope="session")
def pipelines(shared_server: PrefectServer, once: Once) -> Path:
    """A server's database after a data team's pipelines ran, to be restored: rows of all kinds."""

    def run_them(file: Path) -> None:
        shared_server.clear()
        subprocess.run([sys.executable, "-m", "devtools.data.flows"], env=shared_server.env, check=True, timeout=120)
        shared_server.save(file)

    return once("pipelines.db", run_them)


@pytest.fixture(scope="module")
def filled_server(pipelines: Path, server: PrefectServer) -> PrefectServer:
    """The module's server, on which a data team's pipelines have run."""
    server.restore(pipelines)
    return server


@pytest.fixture(scope="module")
def workspace(server: PrefectServer) -> Workspace:
    """A Cloud workspace: the module's server, with rows in every stream and events of all ages."""
    make_month(server)
    return Workspace(server.url)


@pytest.fixture(scope="module")
def of_server(server: PrefectServer, workspace: Workspace) -> Sync:
    """The result of a separate sync of that server."""
    assert workspace
    return read_here({"connection": {"type": "server", "api_url": server.url}}).ok()


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """The tables of a sync whose OpenLineage events are known, in a DuckDB file."""
    file = tmp_path / "prefect.duckdb"
    write_rows(file, TABLES)
    return file


# What Airbyte's .dockerignore lets through.
LET_THROUGH = ("setup.py", "pyproject.toml", "manifest.yaml", "README.md", "metadata.yaml", "source_*")


@pytest.fixture(scope="session")
def installation(once: Once) -> Path:
    """A fresh environment with nothing but the package, as Airbyte's image build installs it:
    without write access.

    That copies some of the sources, runs `uv pip install .` with Python 3.13 and without a lock
    file, and keeps the installation alone.
    """

    def install(environment: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="build-") as folder:
            sources = Path(folder)
            for path in (path for pattern in LET_THROUGH for path in ROOT.glob(pattern)):
                if path.is_dir():
                    shutil.copytree(path, sources / path.name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(path, sources)
            install_connector(environment, find_python("3.13") or Path(sys.executable), folder)
        subprocess.run(["chmod", "-R", "a-w", environment], check=True)

    return once("installation", install)


@pytest.fixture
def sharp(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without the five minutes that every sync reads again: in them lies all that a test does, it
    would hide a gap.

    For the same reason without `Date`, which has whole seconds: the connector's clock is the
    server's here. SQLite writes `updated` in milliseconds, rounded down. And few runs are several
    ranges.
    """
    monkeypatch.setattr(ranges, "SHORTEST", 1)
    monkeypatch.setattr(state, "IN_FLIGHT", timedelta(milliseconds=5))
    for module in ("answers", "client", "transport"):
        monkeypatch.setattr(f"source_prefect.http.{module}.server_date", lambda _response: None)
    with impatient():
        yield
