"""A sync that is stopped, or whose output nobody reads any more, ends soon and says so once."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devtools.connector import catalog, read, read_here, start
from devtools.data.bulk import history, insert_flow_runs, insert_task_runs
from devtools.data.seeding import make_flow
from devtools.servers.prefect import PrefectServer

# More than the CDK's queue holds.
RUNS = 12_000
SOON = 5


@pytest.fixture(scope="module")
def runs(server: PrefectServer) -> list[str]:
    """The ids of a long history."""
    past = history(RUNS, until=datetime.now(UTC), every=timedelta(minutes=1))
    return insert_flow_runs(server.database, make_flow(server), past)


@pytest.fixture
def arguments(runs: list[str], config: dict[str, Any], tmp_path: Path) -> list[str]:
    """Those of a sync of that history."""
    assert runs
    files = {"config": config, "catalog": catalog(["flow_runs"], "incremental")}
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    return [argument for name in files for argument in (f"--{name}", str(tmp_path / name))]


@contextmanager
def reading(arguments: list[str], errors: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A sync that has printed its first records. Nobody reads on, so it soon waits for room."""
    with errors.open("wb") as stderr:
        process = start("read", *arguments, stderr=stderr)
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
    assert errors.read_text() == "The output cannot be written: Broken pipe. The command has stopped.\n"


@pytest.mark.parametrize(("by", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sync_that_is_interrupted_ends_soon(
    arguments: list[str], tmp_path: Path, by: signal.Signals, exit_code: int
) -> None:
    errors = tmp_path / "errors"
    with reading(arguments, errors) as process:
        process.send_signal(by)
        assert process.wait(timeout=SOON) == exit_code
    assert errors.read_text() == ""


def test_an_interrupt_reaches_the_sync_where_these_tests_ignore_it(arguments: list[str], tmp_path: Path) -> None:
    """A shell's background job ignores SIGINT, and so does every process that it starts."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with reading(arguments, tmp_path / "errors") as process:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=SOON) == 130
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_terminated_sync_has_printed_the_records_that_its_states_cover(
    server: PrefectServer, runs: list[str], config: dict[str, Any]
) -> None:
    past = history(1_000, until=datetime.now(UTC), every=timedelta(minutes=1))
    ids = insert_task_runs(server.database, runs[0], past)
    reader = {**config, "page_size": 20}
    stopped = read(reader, ["task_runs"], killed_when=lambda sync: len(sync.states["task_runs"]) > 2, by=signal.SIGTERM)
    # A destination may drop what came after the last state.
    kept = stopped.ids("task_runs")[: stopped.committed["task_runs"]]
    assert 0 < len(kept) < len(ids)
    resumed = read_here(reader, ["task_runs"], stopped.state).ok()
    assert {*kept, *resumed.ids("task_runs")} == set(ids)
    assert len(resumed.ids("task_runs")) < len(ids)
