"""What the page is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from markupsafe import Markup

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A table's column: `kind` says how its values look, `link` which column has their address."""

    key: str
    title: str
    kind: str = "name"
    link: str | None = None


WORKSPACE = Column("workspace", "Workspace")
FLOW = Column("flow", "Flow")
DEPLOYMENT = Column("deployment", "Deployment")


def subject(level: str, link: str) -> list[Column]:
    """The columns that name what a row is about: a flow, or a deployment, with the link to it."""
    if level != "deployment":
        return [replace(FLOW, link=link)]
    return [FLOW, replace(DEPLOYMENT, link=link)]


@dataclass(frozen=True)
class Part:
    """A table, or a chart with a `figure`. The page filters by workspace, flow and deployment."""

    id: str
    caption: str = ""
    columns: Sequence[Column] = ()
    rows: Sequence[Row] = ()
    empty: str = "There is nothing to show."
    # Behind a line that a click opens, where a chart shows the same.
    folded: bool = False
    title: str = ""
    alt: str = ""
    figure: Markup | None = None
    # What the marks of a chart stand for: number, mark, name.
    legend: Sequence[tuple[int, str, str]] = ()

    @property
    def is_by_deployment(self) -> bool:
        """Whether a row without a deployment is about runs without one, not about a whole flow."""
        return any(column.key == "deployment" for column in self.columns)

    def with_workspaces(self) -> "Part":
        """The same with a column that names the workspace of each row."""
        if not any("workspace" in row for row in self.rows):
            return self
        return replace(self, columns=[WORKSPACE, *self.columns])


@dataclass(frozen=True)
class Section:
    id: str
    short: str
    title: str
    lead: str
    parts: Sequence[Part] = field(default_factory=list)
