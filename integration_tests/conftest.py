from collections.abc import Iterator
from typing import Any

import pytest

from devtools.server import PrefectServer, prefect_server


@pytest.fixture(scope="module")
def server() -> Iterator[PrefectServer]:
    """An empty Prefect server for the tests of one module."""
    with prefect_server() as running:
        yield running


@pytest.fixture(scope="module")
def config(server: PrefectServer) -> dict[str, Any]:
    """A config that reads the module's server."""
    return {"connection": {"type": "server", "api_url": server.url}}
