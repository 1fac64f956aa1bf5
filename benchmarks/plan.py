"""Which syncs are measured, in which order."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import history, pages, sync
from benchmarks.latency import SlowServer, slow_server
from benchmarks.pages import PagePrice
from benchmarks.sync import CONTENDERS, DLT, SCAN, Resumed, Sync
from devtools.postgres import postgres, system_programs
from devtools.server import QUIET, PrefectServer, prefect_server

FIRST, NOTHING, CHANGED = "first sync", "nothing changed", "1 % changed"

# Of longer tables, the contenders that read every page in every sync read parts, spread evenly.
READ_WHOLE = {FIRST: 100_000, NOTHING: 10_000, CHANGED: 10_000}
PARTS = 10


@dataclass(frozen=True)
class Setting:
    """A table of a server of its own, on SQLite or PostgreSQL; a sync is repeated while all took less than `patience`
    seconds, up to three times.
    """

    database: str
    table: str
    count: int
    latencies: tuple[float, ...] = (0.0, 0.1)
    patience: float = 12.0

    def __str__(self) -> str:
        return f"{self.database}, {self.count:,} {self.table}"


QUICK = [Setting("SQLite", "flow_runs", 10_000, latencies=(0.0,), patience=0)]
FULL = [
    Setting("SQLite", "flow_runs", 10_000),
    Setting("SQLite", "task_runs", 10_000),
    Setting("SQLite", "flow_runs", 100_000),
    Setting("PostgreSQL", "flow_runs", 1_000_000),
    Setting("SQLite", "task_runs", 100_000),
    # A walk over 1,000,000 rows page by page waits for latency alone for longer than all contenders work here.
    Setting("PostgreSQL", "task_runs", 1_000_000, latencies=(0.0,)),
]


class Cell(NamedTuple):
    work: str
    latency: float
    contender: str


@dataclass
class Results:
    """What was measured in one setting."""

    setting: Setting
    syncs: dict[Cell, list[Sync]] = field(default_factory=dict)
    prices: dict[str, PagePrice] = field(default_factory=dict)
    resumed: Resumed | None = None

    def median(self, cell: Cell, figure: Callable[[Sync], float]) -> float:
        return median(figure(sync) for sync in self.syncs[cell])


def measure(setting: Setting, say: Callable[[str], None]) -> Results:
    """Start a server, fill it, and let all contenders read it. `say` is told what goes on."""
    with _server(setting) as (server, database):
        return measure_on(server, database, setting, say)


def measure_on(server: PrefectServer, database: Path | str, setting: Setting, say: Callable[[str], None]) -> Results:
    """The same on a server that is there: its database is a file of SQLite, or at an address of PostgreSQL."""
    results = Results(setting)
    with ExitStack() as stack:
        slow = {latency: stack.enter_context(slow_server(server.url, latency)) for latency in setting.latencies}
        say(f"{setting}: being written")
        history.fill(server, database, setting.table, setting.count)
        _warm_up(server, setting.table)
        states: dict[str, str] = {}
        for work in (FIRST, NOTHING, CHANGED):
            if work == CHANGED:
                history.add_recent(server, database, setting.table, setting.count // 100)
            for latency in setting.latencies:
                for contender in CONTENDERS:
                    if latency and _in_parts(setting, contender, work):
                        # It would tell nothing new: each of its requests takes that much longer.
                        continue
                    cell = Cell(work, latency, contender)
                    state = "" if work == FIRST else states[contender]
                    measured = _measure_cell(setting, cell, slow[latency], state)
                    results.syncs[cell] = measured
                    states.setdefault(contender, measured[0].state)
                    if contender not in results.prices:
                        results.prices[contender] = pages.price(server.url, setting.table, measured[0].taken)
                    seconds = ", ".join(f"{one.seconds:.1f} s" for one in measured)
                    say(f"{setting}: {work}, {latency * 1000:.0f} ms, {contender}: {seconds}")
            if work == FIRST and setting.count > READ_WHOLE[NOTHING]:
                results.resumed = sync.resume(slow[setting.latencies[0]], setting.table, setting.count)
                say(f"{setting}: killed at half, {results.resumed.read_again:.1%} read again")
    return results


def _warm_up(server: PrefectServer, table: str) -> None:
    """The first requests of a new server take longer, and would be the first contender's."""
    for _ in range(10):
        server.post(f"{table}/filter", {"limit": 200})


def _in_parts(setting: Setting, contender: str, work: str) -> bool:
    return contender in (SCAN, DLT) and setting.count > READ_WHOLE[work]


def _measure_cell(setting: Setting, cell: Cell, server: SlowServer, state: str) -> list[Sync]:
    parts: range | tuple[()] = ()
    if _in_parts(setting, cell.contender, cell.work):
        stride = setting.count // PARTS
        parts = range(stride // 2, setting.count, stride)
    expected = {FIRST: setting.count, NOTHING: 0, CHANGED: setting.count // 100}[cell.work]
    measured: list[Sync] = []
    began = time.monotonic()
    while not measured or (len(measured) < 3 and time.monotonic() - began < setting.patience):
        one = sync.run(cell.contender, server, setting.table, state, parts, setting.count)
        if not parts and (one.rows < expected or (cell.work == FIRST and one.rows > expected)):
            raise RuntimeError(f"{cell.contender} brought {one.rows} rows of {expected} ({setting}, {cell.work}).")
        measured.append(one)
    return measured


@contextmanager
def _server(setting: Setting) -> Iterator[tuple[PrefectServer, Path | str]]:
    """A Prefect server of its own and its database."""
    with ExitStack() as stack:
        if setting.database == "SQLite":
            server = stack.enter_context(prefect_server(QUIET))
            yield server, server.database
        else:
            address = stack.enter_context(postgres(system_programs()))
            url = address.replace("postgresql://", "postgresql+asyncpg://")
            yield stack.enter_context(prefect_server(QUIET | {"PREFECT_API_DATABASE_CONNECTION_URL": url})), address
