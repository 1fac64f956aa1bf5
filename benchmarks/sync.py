"""One sync by one contender: what it brought, and what it cost."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from benchmarks import process
from benchmarks.contenders import Tally
from benchmarks.latency import SlowServer, Taken
from devtools.connector import catalog
from devtools.matrix.pythons import ROOT, install_connector

OURS = "source-prefect"
LOOPS = "four bare loops"
SCAN = "client-side scan"
DLT = "dlt rest_api"
SCRIPTS = {
    LOOPS: "benchmarks.contenders.four_loops",
    SCAN: "benchmarks.contenders.scan",
    DLT: "benchmarks.contenders.dlt_rest_api",
}
CONTENDERS = (OURS, *SCRIPTS)

# Rows of a table, from the first to before the end.
Part = tuple[int, int]

_ID = re.compile(rb'"data":\{"id":"([^"]+)"')


@dataclass
class Sync:
    """What was measured: wall seconds, of which `start` before the first request, CPU seconds, and
    the most bytes held.

    Where only parts of a table were read, requests and seconds are those of the whole, as far as
    the parts tell: `scale` times what their loop took, and the start of the process once.
    """

    rows: int
    requests: int
    seconds: float
    start: float
    cpu: float
    memory: int
    taken: list[Taken]
    state: str
    scale: float = 1.0


@dataclass
class Resumed:
    """A first sync that was killed when half of its rows were out, and continued from its last
    state.

    `sent_twice`: the rows that both processes sent.
    """

    sent_twice: int


def run(contender: str, server: SlowServer, table: str, state: str, parts: Sequence[Part], count: int) -> Sync:
    """Let a contender read a table of `count` rows, or these parts of it.

    `state` is what an earlier sync of its own left, or empty.
    """
    server.taken()
    if contender == OURS:
        return _run_connector(server, table, state)
    return _run_script(SCRIPTS[contender], server, table, state, parts, count)


def _run_connector(server: SlowServer, table: str, state: str) -> Sync:
    printed = _Printed()
    with _command(server, table, state) as command:
        usage = process.run(command, printed.take)
    taken = server.taken()
    start = taken[0].at - usage.began
    return Sync(printed.rows, len(taken), usage.seconds, start, usage.cpu, usage.memory, taken, printed.state)


def _run_script(module: str, server: SlowServer, table: str, state: str, parts: Sequence[Part], count: int) -> Sync:
    lines: list[bytes] = []
    with TemporaryDirectory(prefix="benchmark-") as folder:
        path = Path(folder) / "state"
        if state:
            path.write_text(state)
        usage = process.run(
            [sys.executable, "-m", module, server.url, table, str(path), *(f"{first}-{end}" for first, end in parts)],
            lines.append,
        )
        new_state = path.read_text()
    tally = Tally(**json.loads(lines[-1]))
    taken = server.taken()
    scale = count / sum(end - first for first, end in parts) if parts else 1.0
    return Sync(
        rows=tally.rows,
        requests=round(len(taken) * scale),
        seconds=usage.seconds + (scale - 1) * tally.seconds,
        start=taken[0].at - usage.began,
        cpu=usage.cpu + (scale - 1) * tally.cpu,
        memory=usage.memory,
        taken=taken,
        state=new_state,
        scale=scale,
    )


def resume(server: SlowServer, table: str, count: int) -> Resumed:
    """Kill a first sync halfway, continue from its last state, and see that all rows arrive."""
    first, second = _Printed(keep_ids=True), _Printed(keep_ids=True)
    with _command(server, table, "") as command, subprocess.Popen(command, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            first.take(line)
            if first.rows == count // 2:
                killed.kill()
                break
    with _command(server, table, first.state) as command:
        process.run(command, second.take)
    missing = count - len(first.committed | second.committed)
    if missing:
        raise RuntimeError(f"{missing} of {count} {table} were lost by a first sync that was killed.")
    return Resumed(first.rows + second.rows - count)


def cdk_alone(server: SlowServer, table: str, count: int) -> float:
    """CPU microseconds that a row of the table costs in the CDK alone, if it comes flat."""
    rows = requests.post(f"{server.url}/{table}/filter", json={"limit": 200}, timeout=60).json()
    flat = [{name: _flat(value) for name, value in row.items()} for row in rows]
    command = [str(connector().parent / "python"), "-m", "benchmarks.cdk_alone", str(count)]
    printed = subprocess.run(command, input=json.dumps(flat), capture_output=True, text=True, check=True).stdout
    return float(printed.splitlines()[-1])


def _flat(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


@cache
def connector() -> Path:
    """The connector's program in an environment of its own, as Airbyte runs it.

    Beside the other contenders, the CDK would import what they bring along (boto3 and redis, by
    `requests_cache`): a second of its start, and memory.
    """
    what = ("--constraints", "constraints.txt", "--editable", ".")
    return install_connector(ROOT / ".venvs" / "benchmark", Path(sys.executable), *what)


@contextmanager
def _command(server: SlowServer, table: str, state: str) -> Iterator[list[str]]:
    """The command that reads a table, with its files."""
    config: dict[str, Any] = {"connection": {"type": "server", "api_url": server.url}}
    files = {"config": json.dumps(config), "catalog": json.dumps(catalog([table], "incremental"))}
    if state:
        files["state"] = state
    with TemporaryDirectory(prefix="benchmark-") as folder:
        command = [str(connector()), "read"]
        for name, content in files.items():
            path = Path(folder) / name
            path.write_text(content)
            command += [f"--{name}", str(path)]
        yield command


class _Printed:
    """What the connector prints. A million records need not be parsed."""

    def __init__(self, *, keep_ids: bool = False) -> None:
        self.rows = 0
        self.state = ""
        # The ids that came before the last state: a destination may drop the others.
        self.committed: set[bytes] = set()
        self._keep_ids = keep_ids
        self._pending: set[bytes] = set()

    def take(self, line: bytes) -> None:
        if line.startswith(b'{"type":"RECORD"'):
            self.rows += 1
            if self._keep_ids and (found := _ID.search(line)):
                self._pending.add(found[1])
        elif line.startswith(b'{"type":"STATE"'):
            self.state = json.dumps([{"type": "STREAM", "stream": json.loads(line)["state"]["stream"]}])
            self.committed |= self._pending
            self._pending.clear()
