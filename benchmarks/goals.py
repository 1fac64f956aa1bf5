"""What the connector sets out to be, beside what was measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.plan import FIRST, NOTHING, Cell, Results
from benchmarks.sync import DLT, LOOPS, OURS, Sync

# None where a setting does not have what the figure needs.
Figure = Callable[[Results], float | None]


@dataclass(frozen=True)
class Goal:
    """A figure that is to be `most` at most."""

    what: str
    figure: Figure
    most: float
    digits: int = 2


def goal_rows(all_results: Sequence[Results]) -> Iterator[list[str]]:
    """A row for each goal: what it is about, the goal, and its figure in each setting.

    One that is missed is **bold**.
    """
    for goal in GOALS:
        values = [goal.figure(results) for results in all_results]
        yield [goal.what, f"at most {goal.most:g}", *(_cell(goal, value) for value in values)]


def _cell(goal: Goal, value: float | None) -> str:
    if value is None:
        return ""
    text = f"{value:,.{goal.digits}f}"
    return text if value <= goal.most else f"**{text}**"


def _ratio(work: str, latency: float, dividend: str, divisor: str, figure: Callable[[Sync], float]) -> Figure:
    above, below = Cell(work, latency, dividend), Cell(work, latency, divisor)

    def measure(results: Results) -> float | None:
        if above not in results.syncs:
            return None
        return results.median(above, figure) / results.median(below, figure)

    return measure


def _seconds(sync: Sync) -> float:
    return sync.seconds


def _after_start(sync: Sync) -> float:
    return sync.seconds - sync.start


def _requests(sync: Sync) -> float:
    return sync.requests


def _more_requests(results: Results) -> float:
    """Beyond those of the pages, each of which begins with the last row of the one before it."""
    return results.median(_FIRST, _requests) - results.setting.count / 199


def _deepest_page(results: Results) -> float:
    price = results.prices[OURS]
    return price.deepest / price.first


def _cpu_a_row(results: Results) -> float:
    """In microseconds, without the start, which is most of a sync without changes."""
    cpu = results.median(_FIRST, _cpu) - results.median(_FIRST._replace(work=NOTHING), _cpu)
    return cpu / results.setting.count * 1e6


def _cpu(sync: Sync) -> float:
    return sync.cpu


def _memory(results: Results) -> float:
    return results.median(_FIRST, lambda sync: sync.memory) / 1e6


def _sent_twice(results: Results) -> float | None:
    return results.resumed.sent_twice if results.resumed else None


_FIRST = Cell(FIRST, 0.0, OURS)

GOALS = (
    Goal("first sync, requests beyond rows / 199", _more_requests, 20, 0),
    Goal("first sync less its start / four bare loops", _ratio(FIRST, 0.0, OURS, LOOPS, _after_start), 1.15),
    Goal("the same with 100 ms of latency", _ratio(FIRST, 0.1, OURS, LOOPS, _after_start), 1.15),
    Goal("first sync, start included / dlt", _ratio(FIRST, 0.0, OURS, DLT, _seconds), 1.0),
    Goal("CPU a row / the CDK's alone", lambda results: _cpu_a_row(results) / results.cdk_alone, 3.0, 1),
    Goal("peak memory, MB", _memory, 150, 0),
    Goal("price of the deepest page / first page", _deepest_page, 1.3),
    Goal("killed at half, rows sent twice", _sent_twice, 800, 0),
)
