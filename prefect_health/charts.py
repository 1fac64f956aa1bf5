"""The charts of the page, as Plotly figures in the light palette; the page itself exchanges it for the dark one.

No chart tells anything by colour alone, and each has a table beside it that says the same.
"""

import html
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import plotly.graph_objects as go

from prefect_health.formats import percent
from prefect_health.layout import place
from prefect_health.parts import Row

WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")

# In a light page and in a dark one. No colour stands for two things: the page looks them up by their light form.
COLOURS = {
    "page": ("#ffffff", "#171a21"),
    "ink": ("#1c2430", "#e7eaf0"),
    "box": ("#f5f7fa", "#20252f"),
    "succeeded": ("#2e8b6f", "#4bb894"),
    "failed": ("#c8412e", "#f0806f"),
    "crashed": ("#7d1f6b", "#d68bc8"),
    "cancelled": ("#8b94a3", "#7d8797"),
    "declared": ("#1f5fa8", "#77b2f2"),
    "observed": ("#a85b00", "#f0ac5c"),
    "both": ("#1a7a5c", "#5cc9a3"),
    # The text on the colours of a grid is ink, which must be read on all of them.
    "few": ("#e3edf8", "#1f2c3d"),
    "many": ("#6fa8e8", "#2563a8"),
    "none succeeded": ("#ef8a7a", "#a5332a"),
    "half succeeded": ("#f2c661", "#7d5f14"),
    "all succeeded": ("#5ab996", "#1f6b54"),
    "failing box": ("#fbe3df", "#4a211c"),
    "hit box": ("#fdf0d3", "#44351a"),
    "old box": ("#e6e8ec", "#2f3542"),
}
SERIES = (
    ("#0072b2", "#56a8e0"),
    ("#d55e00", "#ff9550"),
    ("#009e73", "#3fcf9f"),
    ("#9b4f86", "#dd95c7"),
    ("#8a7400", "#e0cf4d"),
    ("#4d5bce", "#9aa4ff"),
    ("#6b4a2b", "#c9a27d"),
    ("#3f7d86", "#7fc4cf"),
)
DARK = dict([*COLOURS.values(), *SERIES])

# Durations at which a logarithmic axis has its lines.
TICKS = {"0.1 s": 0.1, "1 s": 1, "10 s": 10, "1 min": 60, "10 min": 600, "1 h": 3600, "10 h": 36_000, "4 d": 345_600}

# The least that an axis of days shows.
FEWEST_DAYS = 14
DAY_MILLISECONDS = 86_400_000

# How a run ends, and the pattern that tells it from the others.
ENDS = {"succeeded": "", "failed": "/", "crashed": "x", "cancelled": "."}


# What is the matter with a table, and the colour of its box; the box says it in words, too.
BOXES = {"failing": "failing box", "downstream of a failure": "hit box", "stale": "old box", "dead": "old box"}


def light(name: str) -> str:
    return COLOURS[name][0]


def escape(name: str | None) -> str:
    """A name as text: Plotly takes tags for formatting."""
    return html.escape(name or "(unknown)", quote=False)


def bars_of_days(days: Sequence[Row]) -> go.Figure:
    """How many runs ended on each day, by how they ended."""
    totals: dict[date, dict[str, int]] = defaultdict(lambda: dict.fromkeys(ENDS, 0))
    links: dict[date, str] = {}
    for row in days:
        for end in ENDS:
            totals[row["day"]][end] += row[end]
        # The page of a day is that of a failure, where there was one.
        if row["failed"] + row["crashed"] or row["day"] not in links:
            links[row["day"]] = row["run_url"]
    dates = sorted(totals)
    figure = go.Figure()
    for end, pattern in ENDS.items():
        figure.add_bar(
            name=end,
            x=dates,
            y=[totals[day][end] for day in dates],
            # Of a single bar Plotly does not know how wide a day is.
            width=0.75 * DAY_MILLISECONDS,
            customdata=[links[day] for day in dates],
            marker={
                "color": light(end),
                "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": light("page"), "size": 6},
            },
            hovertemplate=f"%{{x|%a %d %b}}: %{{y}} {end}<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        legend={"traceorder": "normal"},
        xaxis=_days(dates[0], dates[-1]),
        yaxis={"title": "runs", **_counts(max(sum(ends.values()) for ends in totals.values()))},
    )
    return figure


def _days(first: date, last: date) -> dict[str, Any]:
    """An axis of days. A single day would be as wide as the page, and its axis would count milliseconds."""
    first = min(first, last - timedelta(days=FEWEST_DAYS - 1))
    return {
        "range": [f"{first - timedelta(days=1)}T12:00:00", f"{last}T12:00:00"],
        "tickformat": "%d %b",
        "tickangle": 0,
        "dtick": DAY_MILLISECONDS * (1 + (last - first).days // 6),
        "tick0": last.isoformat(),
    }


def _counts(most: int) -> dict[str, Any]:
    """An axis of numbers of runs: of a few, Plotly would write each twice, for it also counts in halves."""
    return {"tickformat": ",d", **({"dtick": 1, "tick0": 0} if most <= 5 else {})}


def _grid(values: Sequence[Sequence[Any]], texts: Sequence[Sequence[str]], **more: Any) -> go.Heatmap:
    """Cells with a text each; Plotly writes `null` where there is none, so that a cell without one has an empty one."""
    return go.Heatmap(
        z=values, text=texts, texttemplate="%{text}", textfont={"color": light("ink")}, zmin=0, showscale=False,
        xgap=2, ygap=2, hoverongaps=False, **more,
    )  # fmt: skip


def calendar(days: Sequence[Row]) -> go.Figure:
    """How often each flow, by its label, succeeded on each day."""
    flows = sorted({row["label"] for row in days}, reverse=True)
    first, last = min(row["day"] for row in days), max(row["day"] for row in days)
    first = min(first, last - timedelta(days=FEWEST_DAYS - 1))
    dates = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    cells = {(row["label"], row["day"]): row for row in days}

    def values(key: str) -> list[list[Any]]:
        return [[cells.get((flow, day), {}).get(key) for day in dates] for flow in flows]

    rates = values("success_rate")
    figure = go.Figure(
        _grid(
            rates,
            [["" if rate is None or rate == 1 else percent(rate, 0).replace(" ", "") for rate in row] for row in rates],
            x=dates,
            y=[escape(flow) for flow in flows],
            zmax=1,
            customdata=values("run_url"),
            colorscale=[
                [0, light("none succeeded")],
                [0.5, light("half succeeded")],
                [1, light("all succeeded")],
            ],
            hovertext=[["" if rate is None else percent(rate, 1) for rate in row] for row in rates],
            hovertemplate="%{y}, %{x|%a %d %b}: %{hovertext} % succeeded<extra></extra>",
        )
    )
    figure.update_layout(
        height=110 + 34 * len(flows),
        # Each day as wide as its figure, which would be left out. A narrow page scrolls, and begins at the right.
        meta={"min_width": 170 + 27 * len(dates), "filter": "rows", "newest_last": True},
        yaxis={"showgrid": False, "side": "right", "ticks": "", "ticklabelstandoff": 6},
        xaxis={**_days(first, last), "showgrid": False},
    )
    return figure


def durations(runs: Sequence[Row]) -> go.Figure:
    """Each run: when it ended and how long it took."""
    by_flow = defaultdict(list)
    for row in runs:
        by_flow[row["label"]].append(row)
    figure = go.Figure()
    for number, (flow, points) in enumerate(sorted(by_flow.items())):
        figure.add_scatter(
            name=escape(flow),
            mode="markers",
            x=[f"{row['ended_at']:%Y-%m-%dT%H:%M:%S}" for row in points],
            y=[row["seconds"] for row in points],
            customdata=[row["run_url"] for row in points],
            marker={
                "color": SERIES[number % len(SERIES)][0],
                "symbol": number % len(SERIES),
                "size": 7,
                "opacity": 0.75,
            },
            hovertemplate="%{fullData.name}: %{y:,.1f} s, %{x|%d %b %H:%M}<extra></extra>",
        )
    ends = [row["ended_at"] for row in runs]
    margin = (max(ends) - min(ends)) / 50 + timedelta(minutes=30)
    figure.update_layout(
        meta={"filter": "traces"},
        xaxis={
            "range": [f"{min(ends) - margin:%Y-%m-%dT%H:%M:%S}", f"{max(ends) + margin:%Y-%m-%dT%H:%M:%S}"],
            "tickformat": "%d %b" if max(ends) - min(ends) > timedelta(days=7) else "%H:%M\n%d %b",
        },
        yaxis={"type": "log", "tickvals": list(TICKS.values()), "ticktext": list(TICKS)},
    )
    return figure


def hours(rows: Sequence[Row]) -> go.Figure:
    """How many runs began in each hour of the week, on an average day."""
    cells = {(row["weekday"], row["hour"]): row for row in rows}
    # Monday on top.
    order = [0, 6, 5, 4, 3, 2, 1]

    def values(key: str) -> list[list[Any]]:
        return [[cells.get((day, hour), {}).get(key) for hour in range(24)] for day in order]

    runs = values("runs")
    figure = go.Figure(
        _grid(
            runs,
            [["" if count is None else f"{count:.3g}" for count in row] for row in runs],
            x=[f"{hour:02}" for hour in range(24)],
            y=[WEEKDAYS[day] for day in order],
            customdata=values("longest_url"),
            colorscale=[[0, light("few")], [1, light("many")]],
            hovertemplate="%{y} %{x}:00 UTC: %{z:.3} runs on average<extra></extra>",
        )
    )
    figure.update_layout(
        height=320,
        meta={"min_width": 760},
        yaxis={"showgrid": False, "ticks": ""},
        xaxis={"showgrid": False, "title": "hour (UTC)", "type": "category", "tickangle": 0},
    )
    return figure


def lineage(edges: Sequence[Row], states: Mapping[str, str | None]) -> go.Figure:
    """Tables in columns, each right of all that it is made from, with their states, and the edges between them."""
    drawn = [edge for edge in edges if edge["source_id"] and edge["destination_id"]]
    names = {edge[f"{side}_id"]: edge[side] for edge in edges for side in ("source", "destination") if edge[side]}
    graph = place({(edge["source_id"], edge["destination_id"]) for edge in drawn}, sorted(names))
    figure = go.Figure()
    styles = (
        ("declared and observed", "both", "solid", 3.5),
        ("declared by tags only", "declared", "dash", 2),
        ("observed in runs only", "observed", "dot", 2),
    )
    for name, known, dash, width in styles:
        chosen = [edge for edge in drawn if edge["known"] == known]
        xs: list[float | None] = []
        ys: list[float | None] = []
        arrows = []
        for edge in chosen:
            path = graph.paths[edge["source_id"], edge["destination_id"]]
            xs += [x for x, _ in path] + [None]
            ys += [y for _, y in path] + [None]
            (x0, y0), (x1, y1) = path[-2:]
            arrows.append(((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, edge))
        figure.add_scatter(
            name=f"{name} ({len(chosen)})",
            mode="lines",
            x=xs,
            y=ys,
            line={"color": light(known), "dash": dash, "width": width},
            hoverinfo="skip",
        )
        # In the middle of an edge: which way it leads, and what a click finds.
        figure.add_scatter(
            mode="markers",
            x=[value for x, _, dx, _, _ in arrows for value in (x - dx / 1000, x, None)],
            y=[value for _, y, _, dy, _ in arrows for value in (y - dy / 1000, y, None)],
            customdata=[value for *_, edge in arrows for value in (None, edge["url"], None)],
            text=[
                value
                for *_, edge in arrows
                for value in ("", f"{escape(edge['source'])} → {escape(edge['destination'])}: {name}", "")
            ],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "color": light(known),
                "symbol": "arrow",
                "size": [0, 16, 0] * len(arrows),
                "angleref": "previous",
                "opacity": 1,
            },
            showlegend=False,
        )
    for table, (x, y) in graph.places.items():
        parents, _, own = names[table].rpartition("/" if "/" in names[table] else ".")
        state = states.get(table)
        lines = [f"<b>{escape(own)}</b>", escape(parents) if parents else "", f"⚠ {state}" if state else ""]
        figure.add_annotation(
            x=x,
            y=y,
            text="<br>".join(line for line in lines if line),
            showarrow=False,
            bgcolor=light(BOXES[state] if state else "box"),
            bordercolor=light("ink"),
            borderpad=5,
        )
    columns = 1 + max(x for x, _ in graph.places.values())
    rows = [y for _, y in graph.places.values()]
    figure.update_layout(
        height=int(150 + 90 * (max(rows) - min(rows) + 1)),
        meta={"min_width": int(230 * columns)},
        xaxis={"visible": False, "range": [-0.5, columns - 0.5]},
        yaxis={"visible": False, "range": [min(rows) - 0.6, max(rows) + 0.6]},
    )
    return figure
