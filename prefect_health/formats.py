"""How values are shown."""

import json
from datetime import date
from typing import Any

from markupsafe import Markup, escape

SIGNS = {
    "fresh": "✓ fresh",
    "running": "▶ running",
    "unknown": "? unknown",
    "recovered": "✓ recovered",
    **{reason: f"○ {reason}" for reason in ("deleted", "paused", "unscheduled", "forgotten")},
}

# Below this many runs on either side, a difference of rates is chance.
TREND_MINIMUM = 10


def shown(value: Any, kind: str) -> str:
    """The value as a person reads it."""
    if value is None:
        return "—"
    if kind == "rate":
        return percent(value, 1) + " %"
    if kind == "trend":
        return "= 0.0 points" if abs(value) < 0.0005 else f"{'▲' if value > 0 else '▼'} {100 * value:+.1f} points"
    if kind == "seconds":
        return _duration(float(value))
    if kind == "time":
        return f"{value:%Y-%m-%d %H:%M}"
    if kind == "day":
        return f"{value:%a %d %b}"
    if kind == "hour":
        return f"{value:02}:00"
    if kind == "count":
        return f"{int(value):,}"
    if kind == "average":
        return f"{value:.3g}"
    if kind == "days":
        return "1 day" if value == 1 else f"{int(value)} days"
    if kind == "times":
        return f"{value:,.1f} times"
    if kind == "spark":
        return sparkline(value)
    if kind == "status":
        return SIGNS.get(value, f"⚠ {value}")
    return str(value)


def percent(share: float, places: int) -> str:
    """A share in percent. Less than all never shows as 100, and more than nothing never as 0."""
    least = 10.0**-places
    if 0 < share < least / 200:
        return f"< {least:.{places}f}"
    if 1 - least / 200 <= share < 1:
        return f"> {100 - least:.{places}f}"
    return f"{100 * share:.{places}f}"


def raw(value: Any) -> str:
    """The value itself, for sorting by it and for whoever reads the page with a program."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join("" if rate is None else f"{rate:.3f}" for rate in value)
    return value.isoformat() if isinstance(value, date) else str(value)


def trend(rate: float | None, n: int, earlier_rate: float | None, earlier_n: int) -> float | None:
    """The change of a rate; nothing where one of both is of too few runs."""
    if rate is None or earlier_rate is None or min(n, earlier_n) < TREND_MINIMUM:
        return None
    return rate - earlier_rate


def sparkline(rates: list[float | None]) -> str:
    """A bar for each day with runs, whose top part is the share of runs that failed."""
    known = [rate for rate in rates if rate is not None]
    label = f"Success by day: {percent(min(known), 0)} to {percent(max(known), 0)} %" if known else "No runs"
    low, rest = "", ""
    for day, rate in enumerate(rates):
        if rate is not None:
            # However few have failed, they are seen; so are those that have not.
            failed = 0 if rate == 1 else 18 if rate == 0 else round(min(max(18 * (1 - rate), 2), 16), 1)
            low += f"M{4 * day} 0h3v{failed}h-3z" if failed else ""
            rest += f"M{4 * day} {failed}h3V18h-3z" if failed < 18 else ""
    # Nothing in it comes from outside.
    return Markup(  # noqa: S704
        f'<svg class="sparkline" width="{4 * len(rates)}" height="18" role="img" aria-label="{escape(label)}">'
        f'<path class="low" d="{low}"/><path d="{rest}"/></svg>'
    )


def json_text(value: Any) -> str:
    """JSON that may stand in a <script>: nothing in it can end the element."""
    text: str = value.to_json() if hasattr(value, "to_json") else json.dumps(value)
    return text.replace("<", "\\u003c")


def safe_url(url: str | None) -> str:
    """The address, where it is one that a link may have."""
    return url if url and url.startswith(("http://", "https://", "#")) else "#"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    for size, large, small in ((3600, "min", "s"), (86400, "h", "min"), (float("inf"), "d", "h")):
        if seconds < size:
            unit = {"min": 60, "h": 3600, "d": 86400}[large]
            rest = {"s": 1, "min": 60, "h": 3600}[small]
            return f"{seconds // unit:.0f} {large} {seconds % unit // rest:.0f} {small}"
    raise AssertionError(seconds)
