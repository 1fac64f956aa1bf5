"""What the page is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table: `kind` says how its values are shown, `link` which column holds the address behind them."""

    key: str
    title: str
    kind: str = "name"
    link: str | None = None


@dataclass(frozen=True)
class Part:
    """A table, or a chart, which has a `figure`. The page filters rows by their columns `flow` and `deployment`."""

    id: str
    caption: str = ""
    columns: Sequence[Column] = ()
    rows: Sequence[Row] = ()
    empty: str = "There is nothing to show."
    folded: bool = False
    title: str = ""
    alt: str = ""
    figure: Any = None


@dataclass(frozen=True)
class Section:
    id: str
    short: str
    title: str
    lead: str
    parts: Sequence[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Tile:
    id: str
    title: str
    value: Any
    kind: str
    note: str
    url: str
    mood: str = ""
