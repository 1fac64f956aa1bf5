"""Versions of Airbyte's CDK, each in an environment of its own under `.venvs/`: unit tests, and
two syncs that must deliver what those of the development environment do.

`python -m devtools.matrix.cdks [VERSION ...]` is the way to move the bound of `airbyte-cdk` in
pyproject.toml. A CDK that is older than the `version` of manifest.yaml refuses to read it.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devtools.connector import catalog, read_here
from devtools.data.seeding import make_one_of_everything
from devtools.matrix.pythons import ROOT, make_environment
from devtools.servers.prefect import PrefectServer, prefect_server

# The lowest and the newest that pyproject.toml allows.
VERSIONS = ("7.36.0", "7.39.1")


def programs(version: str) -> Path:
    """The bin folder of an environment with this CDK and the unit tests' tools.

    It is made again each time, because the project changes.
    """
    folder = ROOT / ".venvs" / f"cdk-{version}"
    override = folder.with_name(f"{folder.name}-override.txt")
    override.parent.mkdir(exist_ok=True)
    override.write_text(f"airbyte-cdk=={version}\n")
    what = ("--overrides", str(override), "--editable", ".", "--group", "unit")
    return make_environment(folder, Path(sys.executable), *what)


def sync(connector: Path, folder: Path, state: Sequence[Any]) -> tuple[Counter[str], list[Any]]:
    """How many rows each stream delivered, and the state. Raises CalledProcessError."""
    (folder / "state.json").write_text(json.dumps(state))
    files = [argument for name in ("config", "catalog", "state") for argument in (f"--{name}", folder / f"{name}.json")]
    done = subprocess.run([connector, "read", *files], check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    rows = Counter(message["record"]["stream"] for message in messages if message["type"] == "RECORD")
    states = [message["state"]["stream"] for message in messages if message["type"] == "STATE"]
    last = {stream["stream_descriptor"]["name"]: stream for stream in states}
    return rows, [{"type": "STREAM", "stream": stream} for stream in last.values()]


def try_out(version: str, server: PrefectServer) -> None:
    """Raises CalledProcessError or AssertionError."""
    bin_folder = programs(version)
    subprocess.run([bin_folder / "python", "-m", "pytest", "unit_tests"], check=True, cwd=ROOT)
    config = {"connection": {"type": "server", "api_url": server.url}}
    expected = Counter({stream: len(rows) for stream, rows in read_here(config).ok().records.items()})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "catalog.json").write_text(json.dumps(catalog(None, "incremental")))
        rows, state = sync(bin_folder / "source-prefect", folder, [])
        assert rows == expected, f"{rows} instead of {expected}"
        # All of these few rows are near the cursor and are sent again, except deployments,
        # compared by content.
        del expected["deployments"]
        rows, _ = sync(bin_folder / "source-prefect", folder, state)
        assert rows == expected, f"{rows} in the second sync instead of {expected}"


def works(version: str, server: PrefectServer) -> bool:
    try:
        try_out(version, server)
    except (subprocess.CalledProcessError, AssertionError) as error:
        print(f"CDK {version}: FAILED: {error}", flush=True)
        return False
    print(f"CDK {version}: ok", flush=True)
    return True


def main(versions: Sequence[str]) -> int:
    with prefect_server() as server:
        make_one_of_everything(server)
        outcomes = [works(version, server) for version in versions or VERSIONS]
    return 0 if all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
