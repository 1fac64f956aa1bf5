"""A sync that is interrupted, or whose output nobody reads any more, ends soon and says so once."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devtools.bulk import history, insert_flow_runs
from devtools.connector import COMMAND, catalog
from devtools.server import PrefectServer
from integration_tests.seeding import make_flow

# More than the CDK's queue holds.
RUNS = 12_000
SOON = 5


@pytest.fixture(scope="module")
def arguments(server: PrefectServer, config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    insert_flow_runs(
        server.database, make_flow(server), history(RUNS, until=datetime.now(UTC), every=timedelta(minutes=1))
    )
    folder = tmp_path_factory.mktemp("files")
    files = {"config": config, "catalog": catalog(["flow_runs"], "incremental")}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return [argument for name in files for argument in (f"--{name}", str(folder / name))]


@contextmanager
def reading(arguments: list[str], errors: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A sync that has printed its first records."""
    with errors.open("wb") as stderr:
        process = subprocess.Popen([*COMMAND, "read", *arguments], stdout=subprocess.PIPE, stderr=stderr)
    assert process.stdout
    try:
        while b'"RECORD"' not in process.stdout.readline():
            assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_sync_whose_output_is_closed_ends_soon(arguments: list[str], tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with reading(arguments, errors) as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait(timeout=SOON) == 1
    assert errors.read_text() == "The output cannot be written: Broken pipe. The sync has stopped.\n"


def test_a_sync_that_is_interrupted_ends_soon(arguments: list[str], tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with reading(arguments, errors) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=SOON) == 130
    assert errors.read_text() == ""
