"""The connector as its users run it: a process that prints Airbyte messages.

`read_here` does the same inside the caller's process, for a process takes three seconds to start.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.exception_handler import assemble_uncaught_exception
from airbyte_cdk.logger import AirbyteLogFormatter
from airbyte_cdk.models import AirbyteMessageSerializer

from source_prefect.cli import messages

COMMAND = [sys.executable, "-m", "source_prefect"]

State = list[dict[str, Any]]

# What a connector prints when it gets these arguments.
Connector = Callable[[list[str]], Iterable[str]]


def package(arguments: list[str]) -> Iterable[str]:
    return messages(AirbyteEntrypoint.parse_args(arguments))


@dataclass
class Sync:
    """What one run of `source-prefect read` printed."""

    exit_code: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    records: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    states: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    statuses: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    # How many records of each stream came before its last state: a destination may drop those
    # after it.
    committed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    errors: list[dict[str, Any]] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    stderr: str = ""
    # Bytes on standard output.
    printed: int = 0

    @property
    def state(self) -> State:
        """The state for the next sync, as a destination that has taken everything keeps it."""
        return [messages[-1] for messages in self.states.values()]

    def cursor(self, stream: str) -> str | None:
        state = self.states[stream][-1]["stream"]["stream_state"] if self.states[stream] else {}
        value: str | None = state.get("updated")
        return value

    def ids(self, stream: str) -> list[str]:
        return [record["id"] for record in self.records[stream]]

    def by_id(self, stream: str) -> dict[str, dict[str, Any]]:
        """The rows by id; the last one of an id wins, as in a destination that deduplicates."""
        return {record["id"]: record for record in self.records[stream]}

    def ok(self) -> "Sync":
        assert self.exit_code == 0, (self.errors, self.stderr[-3000:])
        return self

    def take(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "RECORD":
            self.records[message["record"]["stream"]].append(message["record"]["data"])
        elif kind == "STATE":
            name = message["state"]["stream"]["stream_descriptor"]["name"]
            self.states[name].append(message["state"])
            self.committed[name] = len(self.records[name])
        elif kind == "LOG":
            self.logs.append(message["log"]["message"])
        elif kind == "TRACE" and message["trace"]["type"] == "ERROR":
            self.errors.append(message["trace"]["error"])
        elif kind == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            self.statuses[status["stream_descriptor"]["name"]].append(status["status"])


def run(
    command: str,
    config: Mapping[str, Any] | None = None,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The messages of `spec`, `check` or `discover`, the log lines left out."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [] if config is None else ["--config", _write(folder, "config.json", config)]
        environment = {**os.environ, **(env or {})}
        done = subprocess.run(
            [*COMMAND, command, *arguments], capture_output=True, timeout=180, cwd=cwd, env=environment, check=False
        )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return [message for message in messages if message["type"] != "LOG"]


def start(*arguments: str, command: Sequence[str] = COMMAND, **options: Any) -> subprocess.Popen[bytes]:
    """The process of a command. It can be interrupted even if this process ignores interrupts."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, **options)
    finally:
        signal.signal(signal.SIGINT, inherited)


def catalog(streams: Sequence[str] | None, sync_mode: str) -> dict[str, Any]:
    """A configured catalog of these streams in order, or of all; in this sync mode if possible."""
    known = {stream["name"]: stream for stream in _discovered()}
    chosen = [known[name] for name in (known if streams is None else streams)]
    return {
        "streams": [
            {
                "stream": stream,
                "sync_mode": sync_mode if sync_mode in stream["supported_sync_modes"] else "full_refresh",
                "destination_sync_mode": "append",
                "cursor_field": stream.get("default_cursor_field"),
                "primary_key": stream.get("source_defined_primary_key"),
            }
            for stream in chosen
        ]
    }


@cache
def _discovered() -> list[dict[str, Any]]:
    """The streams: they are the same with every config, and no server is asked for them."""
    config = {"connection": {"type": "server", "api_url": "http://127.0.0.1:4200/api"}}
    [streams] = [m["catalog"]["streams"] for m in run_here("discover", config) if m["type"] == "CATALOG"]
    return cast(list[dict[str, Any]], streams)


def read(
    config: Mapping[str, Any],
    streams: Sequence[str] | None = None,
    state: State | None = None,
    *,
    sync_mode: str = "incremental",
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
    killed_when: Callable[[Sync], bool] = lambda _sync: False,
    by: signal.Signals = signal.SIGKILL,
    command: Sequence[str] = COMMAND,
    more_arguments: Sequence[str] = (),
) -> Sync:
    """One sync, successful or not; one that takes longer than `timeout` is an AssertionError.

    `started` gets the process, for instance to stop it. `killed_when` is called after each
    message, with all messages so far: where it says so, the process is killed `by` this signal.
    Output printed until then is still read.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments = _read_arguments(folder, config, catalog(streams, sync_mode), state)
        sync = Sync()
        began = time.monotonic()
        errors = Path(folder) / "stderr"
        with errors.open("w") as stderr:
            arguments = ["read", *arguments, *more_arguments]
            process = start(*arguments, command=command, stderr=stderr, env={**os.environ, **(env or {})})
        assert process.stdout is not None
        if started:
            started(process)
        killed = False
        with _gone_after(timeout, process):
            for number, line in enumerate(process.stdout):
                if not line.endswith(b"\n"):
                    break  # killed in the middle of a line
                sync.take(json.loads(line))
                sync.printed += len(line)
                if not killed and killed_when(sync):
                    process.send_signal(by)
                    killed = True
                if number % 500 == 0:
                    sync.peak_memory = peak_memory(process.pid) or sync.peak_memory
            sync.exit_code = process.wait()
        sync.seconds = time.monotonic() - began
        sync.stderr = errors.read_text()
        assert sync.seconds < timeout, f"the sync took {sync.seconds:.0f} s"
        return sync


@contextmanager
def _gone_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill the process after so long, or when the block ends."""
    overdue = threading.Timer(seconds, process.kill)
    overdue.daemon = True
    overdue.start()
    try:
        yield
    finally:
        overdue.cancel()
        process.kill()
        process.wait()


def run_here(command: str, config: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """What `run` returns, without a process."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [] if config is None else ["--config", _write(folder, "config.json", config)]
        messages: list[dict[str, Any]] = []
        _run_here(package, [command, *arguments], messages.append)
        return [message for message in messages if message["type"] != "LOG"]


def read_here(
    config: Mapping[str, Any],
    streams: Sequence[str] | None = None,
    state: State | None = None,
    *,
    sync_mode: str = "incremental",
    connector: Connector = package,
) -> Sync:
    """What `read` returns, without a process."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = _read_arguments(folder, config, catalog(streams, sync_mode), state)
        sync = Sync()
        began = time.monotonic()
        sync.exit_code = _run_here(connector, ["read", *arguments], sync.take)
        sync.seconds = time.monotonic() - began
        return sync


def _run_here(connector: Connector, arguments: list[str], take: Callable[[dict[str, Any]], None]) -> int:
    """Hand over each message of one command; the exit code that the process would have had."""
    logger = logging.getLogger("airbyte")
    logs = _LogMessages(take)
    logger.addHandler(logs)
    try:
        for message in connector(arguments):
            take(json.loads(message))
    except Exception as error:
        trace = assemble_uncaught_exception(type(error), error).as_airbyte_message()
        take(json.loads(json.dumps(AirbyteMessageSerializer.dump(trace))))
        return 1
    else:
        return 0
    finally:
        logger.removeHandler(logs)


class _LogMessages(logging.Handler):
    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(AirbyteLogFormatter())
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(json.loads(self.format(record)))


def peak_memory(pid: int) -> int:
    """Bytes. The rusage of a child would count what its parent held when it forked."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kilobytes[0]) * 1024 if kilobytes else 0


def _read_arguments(
    folder: str, config: Mapping[str, Any], configured: Mapping[str, Any], state: State | None
) -> list[str]:
    arguments = ["--config", _write(folder, "config.json", config)]
    arguments += ["--catalog", _write(folder, "catalog.json", configured)]
    if state is not None:
        arguments += ["--state", _write(folder, "state.json", _state_file(state))]
    return arguments


def _state_file(state: State) -> list[dict[str, Any]]:
    return [{"type": "STREAM", "stream": message["stream"]} for message in state]


def _write(folder: str, name: str, content: Any) -> str:
    path = Path(folder) / name
    path.write_text(json.dumps(content))
    return str(path)
