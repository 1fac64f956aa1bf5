"""The figures at the top. The page sums up what is chosen: `figures` is in page.js as well."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefect_health.formats import percent, shown, trend
from prefect_health.parts import Row


@dataclass(frozen=True)
class Tile:
    """`note` holds names of figures, `url` leads to a section. With `of`, what is not 0 is bad."""

    id: str
    title: str
    url: str
    note: str
    of: str = ""


TILES = [
    Tile("runs", "Runs ended", "#days", "in 30 days and today"),
    Tile("success_rate", "Success rate", "#success", "{success_note}"),
    Tile("failed", "Runs failed", "#errors", "failed or crashed"),
    Tile("unresolved", "Unresolved", "#unresolved", "failed, nothing succeeded since", "runs"),
    Tile("running", "Running now", "#now", "{running_note}"),
    Tile("stuck", "Stuck now", "#now", "much longer than usual", "runs"),
    Tile("late", "Late now", "#now", "due, not begun", "runs"),
    Tile("missed", "Missed slots", "#slots", "since the last kept; {missed_ever} of {slots} in these days", "slots"),
    Tile("stale", "Stale tables", "#freshness", "dead or failing, of {tables}; {unknown} unknown", "tables"),
]

SUMMED = (
    *("runs", "succeeded", "failed", "earlier_succeeded", "earlier_failed"),
    *("unresolved", "running", "stuck", "late", "missed", "missed_ever", "slots"),
)


def figures(subjects: Sequence[Row]) -> dict[str, Any]:
    """The sums of these flows and deployments. A table that several write counts once."""
    found: dict[str, Any] = {key: sum(int(subject[key] or 0) for subject in subjects) for key in SUMMED}
    tables: dict[str, str] = {}
    for subject in subjects:
        tables |= subject["tables"] or {}
    longest = max((subject["longest"] for subject in subjects if subject["longest"] is not None), default=None)
    states = list(tables.values())
    ended, earlier = found["succeeded"] + found["failed"], found["earlier_succeeded"] + found["earlier_failed"]
    rate = found["succeeded"] / ended if ended else None
    earlier_rate = found["earlier_succeeded"] / earlier if earlier else None
    return found | {
        "success_rate": rate,
        "success_note": success_note(rate, ended, earlier_rate, earlier),
        "running_note": "at the last sync" if longest is None else f"longest for {shown(longest, 'seconds')}",
        "tables": len(states),
        "stale": sum(state in ("stale", "dead", "failing") for state in states),
        "unknown": states.count("unknown"),
    }


def success_note(rate: float | None, n: int, earlier_rate: float | None, earlier_n: int) -> str:
    if rate is None:
        return "no run has ended"
    change = trend(rate, n, earlier_rate, earlier_n)
    if change is None:
        return f"of {n:,} runs; {earlier_n:,} before: too few for a trend"
    points = "= 0.0" if abs(change) < 0.0005 else f"{'▲ +' if change > 0 else '▼ -'}{abs(100 * change):.1f}"
    return f"of {n:,} runs; {points} points against {earlier_n:,} before"


def filled(subjects: Sequence[Row]) -> list[dict[str, Any]]:
    """The tiles as they are without a filter."""
    found = figures(subjects)
    words = {key: f"{value:,}" if isinstance(value, int) else value for key, value in found.items()}
    tiles = []
    for tile in TILES:
        value = found[tile.id]
        shares = tile.id == "success_rate"
        mood = "bad" if tile.of and value else "good" if tile.of and found[tile.of] else ""
        tiles.append(
            {
                "tile": tile,
                "value": "" if value is None else value,
                "shown": "—" if value is None else f"{percent(value, 1)} %" if shares else f"{value:,}",
                "note": tile.note.format(**words),
                "mood": mood,
            }
        )
    return tiles
