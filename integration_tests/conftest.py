import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.cloud import Workspace
from devtools.connector import Sync, read_here
from devtools.server import QUIET, PrefectServer, prefect_server
from devtools.versions import chosen_python
from integration_tests.month import make_month


@pytest.fixture(scope="session")
def shared_server() -> Iterator[PrefectServer]:
    with prefect_server(QUIET, python=chosen_python()) as running:
        yield running


@pytest.fixture(scope="module")
def server(shared_server: PrefectServer) -> PrefectServer:
    """A Prefect server that is empty when the tests of a module begin."""
    shared_server.clear()
    return shared_server


@pytest.fixture(scope="module")
def config(server: PrefectServer) -> dict[str, Any]:
    """A config that reads the module's server."""
    return {"connection": {"type": "server", "api_url": server.url}}


@pytest.fixture(scope="module")
def filled_server(server: PrefectServer) -> PrefectServer:
    """The module's server, on which a data team's pipelines have run: rows of every kind."""
    subprocess.run([sys.executable, "-m", "devtools.flows"], env=server.env, check=True, capture_output=True)
    return server


@pytest.fixture(scope="module")
def workspace(server: PrefectServer) -> Workspace:
    """A workspace of Prefect Cloud: the module's server, with rows in every stream and events of many ages."""
    make_month(server)
    return Workspace(server.url)


@pytest.fixture(scope="module")
def of_server(server: PrefectServer, workspace: Workspace) -> Sync:
    """What a sync of that server by itself brings."""
    assert workspace
    return read_here({"connection": {"type": "server", "api_url": server.url}}).ok()
