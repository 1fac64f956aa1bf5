"""Tables in tags: what a pipeline reads and writes, as teams declare it for OpenMetadata."""

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple

# The namespace of the ids of edges: another one would give every row a new id.
_NAMESPACE = uuid.UUID("5b0f7c2e-8a43-4d5e-9d0a-6f1e3c27b914")

# One part of a name; OpenMetadata quotes a part that holds a dot, and doubles a quote inside.
_PART = r'("(?:[^"]|"")+"|[^."]+)'
_NAME = re.compile(rf"(?:{_PART}\.)?{_PART}\.{_PART}\.{_PART}")


class Table(NamedTuple):
    """The parts of a table's name, as written."""

    service: str | None = None
    database: str | None = None
    schema: str | None = None
    table: str | None = None


class Edge(NamedTuple):
    """From a table that is read to one that is written; None on a side that no tag declares.

    `tag_format` is `om`, `legacy` or `mixed`: the forms of the tags that declare it.
    """

    source: str | None
    destination: str | None
    tag_format: str


class Declared(NamedTuple):
    """The tables that tags declare, in their order, each with the tags that name it."""

    sources: dict[str, set[str]]
    destinations: dict[str, set[str]]


def declared(tags: Iterable[Any]) -> Declared:
    """The tables in `om-source:<table>` and `om-destination:<table>`, and in the older forms
    without `om-`.

    Other tags, and values that are no text, are ignored.
    """
    found = Declared({}, {})
    sides = {"source": found.sources, "destination": found.destinations}
    for tag in tags:
        prefix, _, name = tag.partition(":") if isinstance(tag, str) else ("", "", "")
        kind = prefix.strip().lower()
        side = kind.removeprefix("om-")
        if side in sides and name.strip():
            sides[side].setdefault(name.strip(), set()).add("legacy" if kind == side else "om")
    return found


def edges(tags: Iterable[Any]) -> Iterator[Edge]:
    """Every source with every destination; a table without a counterpart has a one-sided edge."""
    found = declared(tags)
    nothing: dict[str | None, set[str]] = {None: set()}
    pairs = product((found.sources or nothing).items(), (found.destinations or nothing).items())
    for (source, source_forms), (destination, destination_forms) in pairs:
        if forms := source_forms | destination_forms:
            yield Edge(source, destination, "mixed" if len(forms) > 1 else min(forms))


def edge_id(flow_id: str | None, deployment_id: str | None, edge: Edge) -> str:
    """The id of what a flow or a deployment declares: the same in every sync, on every machine."""
    # JSON, so that different edges never have the same text, whatever their names contain.
    return str(uuid.uuid5(_NAMESPACE, json.dumps([flow_id, deployment_id, edge.source, edge.destination])))


def split_name(name: str | None) -> Table:
    """The parts of `[service.]database.schema.table`; no parts for a name of another shape."""
    match = _NAME.fullmatch(name or "")
    return Table(*match.groups()) if match else Table()
