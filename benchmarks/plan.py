"""Which syncs are measured, in which order."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import history, pages, sync
from benchmarks.latency import SlowServer, slow_server
from benchmarks.pages import PagePrice
from benchmarks.sync import CONTENDERS, DLT, SCAN, Part, Resumed, Sync
from devtools.servers.postgres import postgres, system_programs
from devtools.servers.prefect import QUIET, PrefectServer, prefect_server

FIRST, NOTHING, CHANGED = "first sync", "nothing changed", "1 % changed"

# Of a longer table, those that read every page in every sync read so many parts of so many rows,
# spread evenly.
READ_WHOLE = 10_000
PARTS, PART = 5, 1000
# A longer table takes too long to be read twice more, once killed.
LONGEST_KILLED = 100_000


@dataclass(frozen=True)
class Setting:
    """A table of a server of its own, on SQLite or PostgreSQL; `rounds` says how often each
    contender has its turn at a latency, in seconds.
    """

    database: str
    table: str
    count: int
    rounds: Mapping[float, int]

    def __str__(self) -> str:
        return f"{self.database}, {self.count:,} {self.table}"


QUICK = [Setting("SQLite", "flow_runs", 10_000, {0.0: 1})]
FULL = [
    Setting("SQLite", "flow_runs", 10_000, {0.0: 5}),
    Setting("SQLite", "flow_runs", 60_000, {0.0: 5, 0.1: 5}),
    Setting("PostgreSQL", "flow_runs", 200_000, {0.0: 1}),
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
    # CPU microseconds a row.
    cdk_alone: float = 0.0

    def median(self, cell: Cell, figure: Callable[[Sync], float]) -> float:
        return median(figure(sync) for sync in self.syncs[cell])


def measure(setting: Setting, say: Callable[[str], None]) -> Results:
    """Start a server, fill it, and let all contenders read it. `say` is told what goes on."""
    with ThreadPoolExecutor(1) as pool:
        # Beside the start of the server, which takes as long.
        environment = pool.submit(sync.connector)
        with _server(setting) as (server, database):
            environment.result()
            return measure_on(server, database, setting, say)


def measure_on(server: PrefectServer, database: Path | str, setting: Setting, say: Callable[[str], None]) -> Results:
    """The same on a running server: `database` is a SQLite file or an address of PostgreSQL."""
    results = Results(setting)
    with ExitStack() as stack:
        slow = {latency: stack.enter_context(slow_server(server.url, latency)) for latency in setting.rounds}
        say(f"{setting}: being written")
        history.fill(server, database, setting.table, setting.count)
        _warm_up(server, setting.table)
        states: dict[str, str] = {}
        for work in (FIRST, NOTHING, CHANGED):
            if work == CHANGED:
                history.add_recent(server, database, setting.table, setting.count // 100)
            for cell in turns(setting, work):
                state = "" if work == FIRST else states[cell.contender]
                measured = _measure(setting, cell, slow[cell.latency], state)
                results.syncs.setdefault(cell, []).append(measured)
                states.setdefault(cell.contender, measured.state)
                if cell.contender not in results.prices:
                    results.prices[cell.contender] = pages.price(server.url, setting.table, measured.taken)
                say(f"{setting}: {work}, {cell.latency * 1000:.0f} ms, {cell.contender}: {measured.seconds:.1f} s")
            if work == FIRST and setting.count <= LONGEST_KILLED:
                results.resumed = sync.resume(slow[0.0], setting.table, setting.count)
                say(f"{setting}: killed at half, {results.resumed.sent_twice} rows sent twice")
        results.cdk_alone = sync.cdk_alone(slow[0.0], setting.table, setting.count)
    return results


def _warm_up(server: PrefectServer, table: str) -> None:
    """The first requests of a new server take longer, and would be the first contender's."""
    for _ in range(10):
        server.post(f"{table}/filter", {"limit": 200})


def turns(setting: Setting, work: str) -> Iterator[Cell]:
    """Whose turn it is, round by round to and fro: a machine that gets slower or faster meanwhile
    favours nobody.

    Who reads in parts, and says no more than about how long it takes, has one turn.
    """
    for latency, rounds in setting.rounds.items():
        # What changed is little; how long it takes hardly varies.
        rounds = rounds if work == FIRST else 1
        cells = [Cell(work, latency, contender) for contender in CONTENDERS]
        again = [cell for cell in cells if not _parts(setting, cell)]
        for number in range(rounds):
            yield from (again[::-1] if number % 2 else again) if number else cells


def _parts(setting: Setting, cell: Cell) -> list[Part]:
    """The rows that a contender reads; none where it reads the whole table."""
    if cell.contender in (SCAN, DLT):
        stride = setting.count // PARTS
        return [(n, n + PART) for n in range(stride // 2, setting.count, stride)] if setting.count > READ_WHOLE else []
    return []


def _measure(setting: Setting, cell: Cell, server: SlowServer, state: str) -> Sync:
    parts = _parts(setting, cell)
    expected = {FIRST: setting.count, NOTHING: 0, CHANGED: setting.count // 100}[cell.work]
    one = sync.run(cell.contender, server, setting.table, state, parts, setting.count)
    if not parts and (one.rows < expected or (cell.work == FIRST and one.rows > expected)):
        raise RuntimeError(f"{cell.contender} brought {one.rows} rows of {expected} ({setting}, {cell.work}).")
    return one


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
