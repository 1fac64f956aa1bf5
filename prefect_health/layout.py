"""Where a lineage's tables stand in its picture: columns from left to right, few crossings."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

Point = tuple[float, float]
Edge = tuple[str, str]


class Graph(NamedTuple):
    """The place of each table, and the points that each edge runs through."""

    places: dict[str, Point]
    paths: dict[Edge, list[Point]]


class Station(NamedTuple):
    """What takes a row in a column: a table, or an edge (its two tables) on its way through."""

    column: int
    who: str | Edge


def place(edges: Collection[Edge], tables: Sequence[str]) -> Graph:
    """Each table right of its sources. An edge over several columns gets a free row in each."""
    column = _columns(edges, tables)
    stops = {table: Station(column[table], table) for table in tables}
    paths = {
        edge: [stops[edge[0]], *(Station(x, edge) for x in range(column[edge[0]] + 1, column[edge[1]])), stops[edge[1]]]
        for edge in sorted(edges)
    }
    rows = _rows({*stops.values(), *(station for path in paths.values() for station in path)}, list(paths.values()))

    def point(station: Station) -> Point:
        return float(station.column), rows[station]

    return Graph(
        {table: point(station) for table, station in stops.items()},
        {edge: [point(station) for station in path] for edge, path in paths.items()},
    )


def _columns(edges: Collection[Edge], tables: Sequence[str]) -> dict[str, int]:
    column = dict.fromkeys(tables, 0)
    # No path is longer than there are tables, but one that goes in a circle: those end here.
    for _ in tables:
        for source, destination in sorted(edges):
            if column[destination] <= column[source] < len(tables) - 1 and source != destination:
                column[destination] = column[source] + 1
    # Circles may have left columns empty.
    used = sorted(set(column.values()))
    return {table: used.index(x) for table, x in column.items()}


def _rows(stations: Collection[Station], paths: Collection[Sequence[Station]]) -> dict[Station, float]:
    """The row of each station: columns follow the order of their sources, so few edges cross."""
    before = defaultdict(list)
    for path in paths:
        for left, right in pairwise(path):
            before[right].append(left)
    columns = defaultdict(list)
    for station in stations:
        columns[station.column].append(station)

    rows: dict[Station, float] = {}

    def height(station: Station) -> float:
        known = [rows[left] for left in before[station] if left in rows]
        return sum(known) / len(known) if known else 0.0

    for _, members in sorted(columns.items()):
        ordered = sorted(members, key=lambda station: (-height(station), str(station.who)))
        rows |= {station: (len(ordered) - 1) / 2 - number for number, station in enumerate(ordered)}
    return rows
