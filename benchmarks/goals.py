"""What the connector sets out to be, beside what was measured."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.plan import FIRST, NOTHING, Cell, Results
from benchmarks.sync import DLT, FLOOR, OURS, SCAN, Sync

# What the goals are for. Of fewer rows, the start of a process takes the most time.
ROWS = 1_000_000

# None where a setting does not have what the figure needs.
Figure = Callable[[Results], float | None]


@dataclass(frozen=True)
class Goal:
    """A figure and the bound that it is to keep: `at most` 1.0, say, or `at least` 20."""

    what: str
    figure: Figure
    word: str
    bound: float
    digits: int = 2

    def met(self, value: float) -> bool:
        return value <= self.bound if self.word == "at most" else value >= self.bound


def goal_rows(all_results: Sequence[Results]) -> Iterator[list[str]]:
    """A row for each goal: what it is about, the goal, and its figure in each setting.

    One that is missed at a million rows is **bold**.
    """
    for goal in GOALS:
        values = [goal.figure(results) for results in all_results]
        cells = (_cell(goal, results.setting.count, value) for results, value in zip(all_results, values, strict=True))
        yield [goal.what, f"{goal.word} {goal.bound:g}", *cells]


def _cell(goal: Goal, count: int, value: float | None) -> str:
    if value is None:
        return ""
    text = f"{value:,.{goal.digits}f}"
    return text if count < ROWS or goal.met(value) else f"**{text}**"


def _ratio(work: str, latency: float, dividend: str, divisor: str, figure: Callable[[Sync], float]) -> Figure:
    above, below = Cell(work, latency, dividend), Cell(work, latency, divisor)

    def measure(results: Results) -> float | None:
        if above not in results.syncs:
            return None
        return results.median(above, figure) / results.median(below, figure)

    return measure


def _seconds(sync: Sync) -> float:
    return sync.seconds


def _requests(sync: Sync) -> float:
    return sync.requests


def _deepest_page(results: Results) -> float:
    price = results.prices[OURS]
    return price.deepest / price.first


def _cpu_a_row(results: Results) -> float:
    return results.median(Cell(FIRST, 0.0, OURS), lambda sync: sync.cpu) / results.setting.count * 1e6


def _memory(results: Results) -> float:
    return results.median(Cell(FIRST, 0.0, OURS), lambda sync: sync.memory) / 1e6


def _read_again(results: Results) -> float | None:
    return results.resumed.read_again if results.resumed else None


GOALS = (
    Goal("price of the deepest page / first page", _deepest_page, "at most", 1.3),
    Goal("first sync, wall, ours / floor, no latency", _ratio(FIRST, 0.0, OURS, FLOOR, _seconds), "at most", 1.0),
    Goal("first sync, wall, ours / floor, 100 ms latency", _ratio(FIRST, 0.1, OURS, FLOOR, _seconds), "at most", 0.4),
    Goal("first sync, wall, client-side scan / ours", _ratio(FIRST, 0.0, SCAN, OURS, _seconds), "at least", 20, 1),
    Goal("first sync, wall, dlt / ours", _ratio(FIRST, 0.0, DLT, OURS, _seconds), "at least", 8, 1),
    Goal("nothing changed, requests, scan / ours", _ratio(NOTHING, 0.0, SCAN, OURS, _requests), "at least", 200, 0),
    Goal("CPU a row, ours, µs", _cpu_a_row, "at most", 45, 0),
    Goal("peak memory, ours, MB", _memory, "at most", 150, 0),
    Goal("killed at half of a first sync, read again", _read_again, "at most", 0.6),
)
