"""What the tests of connections share."""

from pathlib import Path
from typing import Any

from devtools.connector import Sync, run_here
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Proxy

# The configs of acceptance-test-config.yml, and where they mean a Prefect Server to be.
ACCEPTANCE = Path(__file__).parent / "acceptance"
DEFAULT_ADDRESS = "http://127.0.0.1:4200"


def point_at(server: PrefectServer, configs: Path) -> None:
    """Write the address of a running server into copies of these configs."""
    for file in configs.glob("*.json"):
        file.write_text(file.read_text().replace(DEFAULT_ADDRESS, server.url.removesuffix("/api")))


def config(front: Proxy, **connection: Any) -> dict[str, Any]:
    """A config that reads what a proxy serves."""
    return {"connection": {"type": "server", "api_url": front.url, **connection}}


def one_worker(url: str) -> dict[str, Any]:
    """A config that reads a server in small pages, one after the other."""
    return {"connection": {"type": "server", "api_url": url}, "page_size": 20, "num_workers": 1}


def check(settings: dict[str, Any]) -> str:
    """The error of a connection, as the user reads it; empty where there is none."""
    for message in run_here("check", settings):
        if message["type"] == "CONNECTION_STATUS":
            status = message["connectionStatus"]
            assert (status["status"] == "FAILED") == bool(status.get("message"))
            return status.get("message") or ""
        if message["type"] == "TRACE":
            assert message["trace"]["error"]["failure_type"] == "config_error"
            return str(message["trace"]["error"]["message"])
    raise AssertionError("The check ended without an answer.")


def assert_config_error(sync: Sync, sentence: str) -> None:
    """The sync failed, and reports it to the user with this sentence."""
    assert sync.exit_code != 0
    kinds = {error["failure_type"] for error in sync.errors if sentence in error["message"]}
    assert kinds == {"config_error"}, sync.errors
