"""The manifest without `SourcePrefect` reads nothing, and says how to run the connector."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessageSerializer, ConfiguredAirbyteCatalogSerializer, FailureType
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from devtools.connector import catalog, read_here
from devtools.data.seeding import make_one_of_everything
from devtools.matrix.pythons import ROOT
from devtools.servers.prefect import PrefectServer

MANIFEST = ROOT / "manifest.yaml"
PROGRAMS = Path(sys.executable).parent
# Of PyAirbyte and of the CDK: a manifest may name classes of Python.
ENV = os.environ | {"AIRBYTE_ENABLE_UNSAFE_CODE": "true", "AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1"}
STREAMS = ["flows", "flow_runs", "logs", "lineage"]

BY_PYAIRBYTE = f"""
import sys
from pathlib import Path
import airbyte
config = {{"connection": {{"type": "server", "api_url": sys.argv[1]}}}}
source = airbyte.get_source("source-prefect", config=config, source_manifest=Path({str(MANIFEST)!r}), streams={STREAMS})
result = source.read(airbyte.new_local_cache(cache_dir=sys.argv[2]))
print("ROWS", sum(len(list(rows)) for rows in result.values()))
"""


@pytest.fixture(scope="module")
def address(server: PrefectServer) -> str:
    make_one_of_everything(server)
    return server.url


def assert_says_how(text: str) -> None:
    assert "Run the command source-prefect" in text


@pytest.mark.parametrize("with_state", [False, True], ids=["a first sync", "a later sync"])
def test_source_declarative_manifest_ends_with_a_sentence(address: str, tmp_path: Path, with_state: bool) -> None:
    config = {"connection": {"type": "server", "api_url": address}}
    arguments: dict[str, Any] = {"config": config, "catalog": catalog(STREAMS, "incremental")}
    if with_state:
        state = read_here(config, STREAMS).ok().state
        arguments["state"] = [{"type": "STREAM", "stream": message["stream"]} for message in state]
    for name, content in arguments.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    files = [text for name in arguments for text in (f"--{name}", str(tmp_path / f"{name}.json"))]
    done = subprocess.run(
        [PROGRAMS / "source-declarative-manifest", "read", *files, "--manifest-path", MANIFEST],
        capture_output=True,
        text=True,
        env=ENV,
        timeout=120,
        check=False,
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode != 0
    assert [message for message in messages if message["type"] in ("RECORD", "STATE")] == []
    errors = [
        m["trace"]["error"]["message"] for m in messages if m["type"] == "TRACE" and m["trace"]["type"] == "ERROR"
    ]
    assert errors
    assert_says_how("\n".join(errors))


@pytest.mark.parametrize("with_state", [False, True], ids=["a first sync", "a later sync"])
def test_a_declarative_source_ends_with_a_sentence(address: str, with_state: bool) -> None:
    config = {"connection": {"type": "server", "api_url": address}}
    state = read_here(config, STREAMS).ok().state if with_state else []
    states = [AirbyteStateMessageSerializer.load({"type": "STREAM", "stream": each["stream"]}) for each in state]
    configured = ConfiguredAirbyteCatalogSerializer.load(catalog(STREAMS, "incremental"))
    records = []
    with pytest.raises(AirbyteTracedException) as raised:  # noqa: PT012  (the source may say it when it is made)
        source = YamlDeclarativeSource(str(MANIFEST), catalog=configured, config=config, state=states)
        records = [message for message in source.read(source.logger, config, configured, states) if message.record]
    assert records == []
    assert_says_how(f"{raised.value.message} {raised.value.internal_message}")
    assert raised.value.failure_type == FailureType.config_error


def test_pyairbyte_with_the_manifest_ends_with_a_sentence(address: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BY_PYAIRBYTE, address, str(tmp_path / "cache")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=ENV,
        timeout=180,
        check=False,
    )
    assert done.returncode != 0, done.stdout[-1000:]
    assert "ROWS" not in done.stdout
    assert_says_how(done.stdout + done.stderr)
