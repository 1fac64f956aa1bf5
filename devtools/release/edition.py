"""The edition in pure YAML as its users run it: by `source-declarative-manifest`, and in the
Connector Builder.

Each version of the CDK has an environment of its own under `.venvs/`.
"""

import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import requests
import yaml
from airbyte_cdk.cli.source_declarative_manifest._run import create_declarative_source
from airbyte_cdk.entrypoint import AirbyteEntrypoint

from devtools.connector import State, Sync, read, read_here
from devtools.release.builder import MANIFEST
from devtools.servers.prefect import START_TIMEOUT, free_port
from devtools.tools import tool

DECLARED: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
STREAMS = [reference["$ref"].rpartition("/")[2] for reference in DECLARED["streams"]]

OLDEST_CDK: str = DECLARED["version"]
NEWEST_CDK = version("airbyte-cdk")


def read_edition(
    cdk: str, config: Mapping[str, Any], streams: Sequence[str] = STREAMS, state: State | None = None
) -> Sync:
    """One sync by this version of the CDK."""
    program = tool(f"airbyte-cdk=={cdk}") / "source-declarative-manifest"
    return read(config, streams, state, command=[str(program)], more_arguments=["--manifest-path", str(MANIFEST)])


def read_edition_here(
    config: Mapping[str, Any],
    streams: Sequence[str] = STREAMS,
    state: State | None = None,
    *,
    sync_mode: str = "incremental",
) -> Sync:
    """One sync by the CDK of this environment, without a process."""
    return read_here(config, streams, state, sync_mode=sync_mode, connector=_edition)


def _edition(arguments: list[str]) -> Iterable[str]:
    with_manifest = [*arguments, "--manifest-path", str(MANIFEST)]
    source = create_declarative_source(with_manifest)
    return AirbyteEntrypoint(source).run(AirbyteEntrypoint.parse_args(with_manifest))


@contextmanager
def recorded_waits() -> Iterator[list[float]]:
    """Note the CDK's waits for retries, in this process, instead of waiting."""
    waits: list[float] = []
    clock = SimpleNamespace(sleep=lambda seconds: waits.append(seconds) if seconds else None)
    with patch("backoff._sync.time", clock), patch("airbyte_cdk.sources.streams.http.rate_limiting.time", clock):
        yield waits


class Builder:
    """The backend of the Connector Builder, which gets the manifest with each request."""

    def __init__(self, url: str) -> None:
        self._url = url

    def post(self, action: str, manifest: Mapping[str, Any] = DECLARED, **body: Any) -> requests.Response:
        return requests.post(f"{self._url}/v1/manifest/{action}", json={"manifest": manifest, **body}, timeout=120)


@contextmanager
def builder() -> Iterator[Builder]:
    """The backend of the Connector Builder, with its default environment, until the block ends."""
    port = free_port()
    program = tool(f"airbyte-cdk[manifest-server]=={NEWEST_CDK}") / "manifest-server"
    process = subprocess.Popen(
        [program, "start", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process)
        yield Builder(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("The backend of the Connector Builder did not start.")
