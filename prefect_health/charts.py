"""The charts of the page, as SVG: they are there without a script, and take their colours from the
page's style.

No chart tells anything by colour alone, and each has a table beside it that says the same.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from markupsafe import Markup

from prefect_health.formats import safe_url
from prefect_health.layout import place
from prefect_health.parts import Row

WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")

# How a run ends; each has a colour and a pattern in the page's style.
ENDS = ("succeeded", "failed", "crashed", "cancelled")

# Durations at which a logarithmic axis has its lines.
TICKS = {"0.1 s": 0.1, "1 s": 1, "10 s": 10, "1 min": 60, "10 min": 600, "1 h": 3600, "10 h": 36_000, "4 d": 345_600}

# The least that an axis of days shows.
FEWEST_DAYS = 14

# Around a point: a plus, a cross, a square, a triangle, a diamond, a bar, a caret and a dash tell
# flows apart.
MARKS = ("m-3 0h6m-3-3v6", "m-3-3l6 6m-6 0l6-6", "m-3-3h6v6h-6z", "m-3 3h6l-3-6z", "m-4 0l4-4 4 4-4 4z", "m0-4v8",
         "m-3 3l3-6 3 6", "m-4 0h8")  # fmt: skip

# What is the matter with a table, and the style of its box; the box says it in words, too.
BOXES = {"failing": "failing", "downstream of a failure": "hit", "stale": "old", "dead": "old"}

# A character of the chart's text is hardly wider.
CHARACTER = 7.4


def bars_of_days(rows: Sequence[Row]) -> Markup:
    """How many runs ended on each day, by how they ended."""
    days = {row["day"]: row for row in rows}
    last = max(days)
    first = min(min(days), last - timedelta(days=FEWEST_DAYS - 1))
    count = (last - first).days + 1
    most = max(sum(row[end] for end in ENDS) for row in rows)
    step, height = 860 / count, 220
    parts: list[str | Markup] = [*_legend(ENDS)]
    for value in _steps(most):
        y = 260 - height * value / most
        parts += [_line(50, y, 950, y), _text(44, y + 4, f"{value:,}", "tick", "end")]
    for number in range(count):
        day, x = first + timedelta(days=number), 60 + number * step
        # Counted from the newest, so that this one has a label.
        if (count - 1 - number) % (1 + (count - 1) // 6) == 0:
            parts.append(_text(x + step / 2, 280, f"{day:%d %b}", "tick", "middle"))
        row = days.get(day)
        if row:
            parts.append(_linked(row["run_url"], Markup().join(_bar(row, x, step, height / most))))
    return _svg(960, 290, parts)


def _bar(row: Row, x: float, step: float, scale: float) -> Iterator[Markup]:
    told = ", ".join(f"{row[end]:,} {end}" for end in ENDS if row[end])
    yield Markup("<title>{}</title>").format(f"{row['day']:%a %d %b}: {told}")
    y = 260.0
    for end in ENDS:
        if row[end]:
            # However few they are, they are seen.
            tall = max(row[end] * scale, 2)
            y -= tall
            yield Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                end, x + step * 0.12, y, step * 0.76, tall
            )


def durations(runs: Sequence[Row]) -> Markup:
    """Each run: its end and its duration. The flows that take most time have their own marks."""
    by_flow: dict[str, list[Row]] = defaultdict(list)
    for row in runs:
        by_flow[row["label"]].append(row)
    ranked = sorted(by_flow, key=lambda flow: (-sum(row["seconds"] for row in by_flow[flow]), flow))
    first, last = min(row["ended_at"] for row in runs), max(row["ended_at"] for row in runs)
    span = max((last - first).total_seconds(), 3600)
    low = math.log10(min(row["seconds"] for row in runs)) - 0.1
    high = math.log10(max(row["seconds"] for row in runs)) + 0.1

    def points(rows: Sequence[Row], mark: str) -> str:
        return "".join(
            f"M{60 + 880 * (row['ended_at'] - first).total_seconds() / span:.0f} "
            f"{270 - 230 * (math.log10(row['seconds']) - low) / (high - low):.0f}{mark}"
            for row in rows
        )

    parts: list[str | Markup] = []
    for label, seconds in TICKS.items():
        if low <= math.log10(seconds) <= high:
            y = 270 - 230 * (math.log10(seconds) - low) / (high - low)
            parts += [_line(54, y, 950, y), _text(49, y + 4, label, "tick", "end")]
    shape = "%d %b" if last - first > timedelta(days=7) else "%d %b %H:%M"
    for part in range(5):
        at = first + timedelta(seconds=span * part / 4)
        parts.append(_text(60 + 220 * part, 290, f"{at:{shape}}", "tick", ("start", *["middle"] * 3, "end")[part]))
    others = [row for flow in ranked[len(MARKS) :] for row in by_flow[flow]]
    if others:
        parts.append(Markup('<path class="mark others" d="{}"/>').format(points(others, "m-1 0h2")))
    for number, flow in enumerate(ranked[: len(MARKS)]):
        mark = Markup('<path class="mark series-{}" data-label="{}" d="{}"><title>{}</title></path>')
        parts.append(mark.format(number, flow, points(by_flow[flow], MARKS[number]), flow))
    return _svg(960, 300, parts)


def marks(runs: Sequence[Row]) -> list[tuple[int, str, str]]:
    """The legend of the durations: number, mark and flow."""
    totals: dict[str, float] = defaultdict(float)
    for row in runs:
        totals[row["label"]] += row["seconds"]
    ranked = sorted(totals, key=lambda flow: (-totals[flow], flow))
    return [(number, MARKS[number], flow) for number, flow in enumerate(ranked[: len(MARKS)])]


def hours(rows: Sequence[Row]) -> Markup:
    """How many runs began in each hour of the week, on an average day."""
    most = max(row["runs"] for row in rows)
    # Monday on top.
    order = [1, 2, 3, 4, 5, 6, 0]
    parts: list[str | Markup] = [_text(52, 34 * (y + 1), WEEKDAYS[day], "tick", "end") for y, day in enumerate(order)]
    parts += [_text(78 + 37 * hour, 262, f"{hour:02}", "tick", "middle") for hour in range(24)]
    for row in rows:
        x, y = 60 + 37 * row["hour"], 12 + 34 * order.index(row["weekday"])
        level = min(4, int(5 * row["runs"] / most))
        cell = Markup('<rect class="level-{}" x="{}" y="{}" width="35" height="32"/>{}').format(
            level, x, y, _text(x + 18, y + 21, f"{row['runs']:.3g}", "cell", "middle")
        )
        parts.append(_linked(row["longest_url"], cell))
    return _svg(960, 270, parts)


def lineage(edges: Sequence[Row], states: Mapping[str, str | None]) -> Markup:
    """Tables with their states, in columns, each right of its sources, and the edges between."""
    drawn = [edge for edge in edges if edge["source_id"] and edge["destination_id"]]
    names = {edge[f"{side}_id"]: edge[side] for edge in edges for side in ("source", "destination") if edge[side]}
    graph = place({(edge["source_id"], edge["destination_id"]) for edge in drawn}, sorted(names))
    labels = {table: _label(name, states.get(table)) for table, name in names.items()}
    width = 30 + CHARACTER * max(len(line) for lines in labels.values() for line in lines)
    top = max(y for _, y in graph.places.values())

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return width / 2 + 10 + point[0] * (width + 60), 45 + (top - point[1]) * 84

    parts: list[str | Markup] = [
        Markup('<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
               'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>')
    ]  # fmt: skip
    for edge in drawn:
        path = [at(point) for point in graph.paths[edge["source_id"], edge["destination_id"]]]
        (x, y), *between, (end_x, end_y) = path
        corners = [(x + width / 2, y), *between, (end_x - width / 2, end_y)]
        line = Markup('<path class="edge {}" marker-end="url(#arrow)" d="M{}"/><title>{}</title>').format(
            edge["known"],
            "L".join(f"{x:.0f} {y:.0f}" for x, y in corners),
            f"{edge['source']} → {edge['destination']}: {edge['known_because']}",
        )
        parts.append(_linked(edge["url"], line))
    for table, point in graph.places.items():
        x, y = at(point)
        state = states.get(table)
        lines = labels[table]
        texts = [
            _text(x, y + 5 + 19 * (number - (len(lines) - 1) / 2), text, "label" if number else "own", "middle")
            for number, text in enumerate(lines)
        ]
        box = Markup('<g><rect class="box {}" x="{:.0f}" y="{:.0f}" width="{:.0f}" height="68" rx="4"/>{}</g>')
        style = BOXES.get(state or "", "")
        parts.append(box.format(style, x - width / 2, y - 34, width, Markup().join(texts)))
    columns, depths = max(x for x, _ in graph.places.values()), [y for _, y in graph.places.values()]
    size = (20 + width + columns * (width + 60), 90 + 84 * (max(depths) - min(depths)))
    return _svg(*size, parts, scaled=False)


def _label(name: str, state: str | None) -> list[str]:
    parents, _, own = name.rpartition("/" if "/" in name else ".")
    return [line for line in (own, parents, f"⚠ {state}" if state else "") if line]


def _svg(width: float, height: float, parts: Sequence[str | Markup], *, scaled: bool = True) -> Markup:
    size = "" if scaled else Markup(' style="width:{:.0f}px"').format(width)
    return Markup('<svg viewBox="0 0 {:.0f} {:.0f}" aria-hidden="true"{}>{}</svg>').format(
        width, height, size, Markup().join(parts)
    )


def _legend(names: Sequence[str]) -> Iterator[Markup]:
    for number, name in enumerate(names):
        x = 60 + 110 * number
        yield Markup('<rect class="{}" x="{}" y="8" width="14" height="14"/>{}').format(
            name, x, _text(x + 20, 20, name, "key", "start")
        )


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> Markup:
    return Markup('<text class="{}" x="{:.0f}" y="{:.0f}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, text)


def _line(x: float, y: float, to_x: float, to_y: float) -> Markup:
    return Markup('<path class="line" d="M{:.0f} {:.0f}L{:.0f} {:.0f}"/>').format(x, y, to_x, to_y)


def _linked(url: str | None, inner: Markup) -> Markup:
    # A click leads there; the keyboard has the table.
    return (
        Markup('<a href="{}" tabindex="-1">{}</a>').format(safe_url(url), inner)
        if url
        else Markup("<g>{}</g>").format(inner)
    )


def _steps(most: int) -> list[int]:
    """Whole numbers for an axis, five at most."""
    size = next(n for power in range(12) for n in (10**power, 2 * 10**power, 5 * 10**power) if most / n <= 5)
    return list(range(0, most + 1, size))
