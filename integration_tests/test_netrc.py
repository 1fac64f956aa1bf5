"""A file .netrc on the machine is none of the connector's: the config alone says who asks."""

from pathlib import Path
from typing import Any

import pytest

from devtools.connector import read_here, run_here
from devtools.data.seeding import make_flow
from devtools.servers.cloud import Cloud, Workspace, cloud
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Proxy

ENTRY = "machine 127.0.0.1 login someone password else\ndefault login anyone password else\n"


@pytest.fixture(params=["in the home folder", "named by NETRC"])
def _netrc(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".netrc"
    file.write_text(ENTRY)
    file.chmod(0o600)
    monkeypatch.delenv("NETRC", raising=False)
    if request.param == "named by NETRC":
        monkeypatch.setenv("NETRC", str(file))
    else:
        monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def front(server: PrefectServer) -> Any:
    make_flow(server)
    with cloud([Workspace(server.url, "Production"), Workspace(server.url, "Staging")]) as running:
        yield running


def shown(requests: list[Any]) -> set[str | None]:
    """What the requests showed as authorization."""
    assert requests
    return {next((v for k, v in r.headers.items() if k.lower() == "authorization"), None) for r in requests}


@pytest.mark.usefixtures("_netrc")
@pytest.mark.parametrize("workspaces", [[], ["all"]], ids=["one workspace", "all workspaces"])
def test_prefect_cloud_is_shown_the_api_key_alone(front: Cloud, workspaces: list[str]) -> None:
    several: dict[str, Any] = {"account_id": "", "workspace_id": "", "workspaces": workspaces}
    config = {"connection": front.connection(**(several if workspaces else {}))}
    [status] = [message["connectionStatus"] for message in run_here("check", config)]
    assert status["status"] == "SUCCEEDED", status
    sync = read_here(config, ["flows", "workspaces", "events"]).ok()
    assert sync.ids("flows")
    assert sync.ids("workspaces")
    assert shown(front.log) == {f"Bearer {front.keys[0].text}"}
    assert {request.path.rpartition("/")[2] for request in front.log} >= {"usage_limits"}


@pytest.mark.usefixtures("_netrc")
@pytest.mark.parametrize(
    ("more", "header"),
    [
        ({}, None),
        ({"auth_string": "admin:password"}, "Basic YWRtaW46cGFzc3dvcmQ="),
        ({"custom_headers": [{"name": "Authorization", "value": "Bearer of-a-proxy"}]}, "Bearer of-a-proxy"),
    ],
    ids=["nothing", "an auth string", "a header of a proxy"],
)
def test_a_server_is_shown_what_the_config_says(gate: Proxy, more: dict[str, Any], header: str | None) -> None:
    gate.log.clear()
    read_here({"connection": {"type": "server", "api_url": gate.url, **more}}, ["flows", "events"]).ok()
    assert shown(gate.log) == {header}
