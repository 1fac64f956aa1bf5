"""Starts a Prefect server, or a stand-in for Prefect Cloud, prints a config that reads it, and
serves until Ctrl-C.

python -m devtools.server --filled > config.json &
source-prefect check --config config.json
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from devtools.servers.cloud import Workspace, cloud
from devtools.servers.prefect import QUIET, PrefectServer, prefect_server
from devtools.servers.proxy import proxy
from devtools.servers.tls import issue, terminator

AUTH_STRING = "admin:correct-horse-battery"


@contextmanager
def started(*, auth: bool, tls: bool, workspaces: int, filled: bool) -> Iterator[dict[str, Any]]:
    """The config of what is served until the block ends: one server, or so many workspaces."""
    with ExitStack() as running:
        guard = {"PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING} if auth else {}
        servers = [running.enter_context(prefect_server({**QUIET, **guard})) for _ in range(workspaces or 1)]
        for server in servers if filled else ():
            _fill(server, auth=auth)
        if workspaces:
            names = (f"Workspace {number}" for number in range(1, workspaces + 1))
            served = [Workspace(server.url, name) for server, name in zip(servers, names, strict=True)]
            front = running.enter_context(cloud(served))
            yield {"connection": {"type": "cloud", "api_key": front.keys[0].text, "api_url": front.url, **_all(served)}}
            return
        connection: dict[str, Any] = {"type": "server", "api_url": servers[0].url}
        if auth:
            connection["auth_string"] = AUTH_STRING
        if tls:
            authority = issue("devtools")
            folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
            context = terminator(folder, issue("prefect", authority, "127.0.0.1"))
            connection["api_url"] = running.enter_context(proxy(servers[0].url, tls=context)).url
            connection["ca_certificate"] = authority.pem
        yield {"connection": connection}


def _all(workspaces: list[Workspace]) -> dict[str, Any]:
    return {"workspaces": ["all"]} if len(workspaces) > 1 else {}


def _fill(server: PrefectServer, *, auth: bool) -> None:
    credentials = {"PREFECT_API_AUTH_STRING": AUTH_STRING} if auth else {}
    subprocess.run(
        [sys.executable, "-m", "devtools.data.flows"], env=server.env | credentials, check=True, stdout=sys.stderr
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m devtools.server", description=__doc__.partition("\n")[0])
    parser.add_argument("--auth", action="store_true", help="a server that wants Basic credentials")
    parser.add_argument("--tls", action="store_true", help="a server behind the certificate of a private CA")
    parser.add_argument("--cloud", type=int, default=0, metavar="N", help="Prefect Cloud with N workspaces instead")
    parser.add_argument("--filled", action="store_true", help="with the runs of a small team's pipelines")
    chosen = parser.parse_args()
    if chosen.cloud and (chosen.auth or chosen.tls):
        parser.error("--auth and --tls are of a server, --cloud is not one")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit())
    with started(auth=chosen.auth, tls=chosen.tls, workspaces=chosen.cloud, filled=chosen.filled) as config:
        print(json.dumps(config, indent=2), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
