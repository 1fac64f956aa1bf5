"""The runs that a sync has brought since the last time, page by page, as events."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from openlineage.client.event_v2 import RunEvent

from prefect_openlineage.events import ENDED, Events, Parent
from prefect_openlineage.tables import Row, Tables

PAGE_SIZE = 1_000

# Before every row.
BEGINNING = (datetime(1, 1, 1), "")

# What is no run yet has neither begun nor ended.
_BEGUN = f"(start_time IS NOT NULL OR state_type IN ({', '.join(repr(state) for state in ENDED)}))"

# Where in a table one has got to: by when a sync brought a row, which only ever grows, and by its
# id.
Position = tuple[datetime, str]
Positions = Mapping[str, Position]


class Page(NamedTuple):
    """The events of some rows of a table, and the position of the last of them."""

    table: str
    rows: int
    events: Iterator[RunEvent]
    position: Position


@dataclass
class Runs:
    """The runs of a sync that came after `since`.

    A sync gives every row that it brings the time of that, also one that it brings again: so a run
    is met again when its state has changed, and whatever came late is met as well.
    """

    tables: Tables
    events: Events
    since: Positions
    with_tasks: bool = True

    def pages(self) -> Iterator[Page]:
        yield from self._pages_of("flow_runs")
        if self.with_tasks:
            yield from self._pages_of("task_runs")
        yield from self._pages_of("asset_materializations")

    def count(self, table: str) -> int:
        """How many rows there are to go through."""
        count: int = self.tables.rows(f"SELECT count(*) AS count FROM {{{table}}} {self._after(table)}",
                                      self.position(table))[0]["count"]  # fmt: skip
        return count

    def position(self, table: str) -> Position:
        return self.since.get(table, BEGINNING)

    def _pages_of(self, table: str) -> Iterator[Page]:
        position = self.position(table)
        sql = f"SELECT * FROM {{{table}}} {self._after(table)} ORDER BY _airbyte_extracted_at, id LIMIT {PAGE_SIZE}"
        while rows := self.tables.rows(sql, position):
            position = (rows[-1]["_airbyte_extracted_at"], rows[-1]["id"])
            yield Page(table, len(rows), self._events_of(table, rows), position)

    @staticmethod
    def _after(table: str) -> str:
        begun = "" if table == "asset_materializations" else f" AND {_BEGUN}"
        return f"WHERE (_airbyte_extracted_at, id) > (?, ?){begun}"

    def _events_of(self, table: str, rows: Sequence[Row]) -> Iterator[RunEvent]:
        if table == "flow_runs":
            return self._flow_runs(rows)
        if table == "task_runs":
            return self._task_runs(rows)
        return self._runs_of_late_assets(rows)

    def _flow_runs(self, runs: Sequence[Row]) -> Iterator[RunEvent]:
        assets = self._assets("flow_run_id", runs)
        above = _Ancestors(self.tables, self.events, runs)
        for run in runs:
            yield from self.events.of_flow_run(run, assets[run["id"]], above.of(above.caller.get(run["id"])))

    def _task_runs(self, runs: Sequence[Row]) -> Iterator[RunEvent]:
        runs = [run for run in runs if not run["state_state_details_child_flow_run_id"]]
        assets = self._assets("task_run_id", runs)
        flow_runs = self.tables.rows_by("flow_runs", "id", sorted({run["flow_run_id"] for run in runs} - {None}))
        above = _Ancestors(self.tables, self.events, flow_runs)
        for run in runs:
            yield from self.events.of_task_run(run, assets[run["id"]], above.of(run["flow_run_id"]))

    def _runs_of_late_assets(self, made: Sequence[Row]) -> Iterator[RunEvent]:
        """The runs whose assets came with a later sync than the runs: they are sent again."""
        yield from self._flow_runs(self._sent_before("flow_runs", {row["flow_run_id"] for row in made} - {None}))
        if self.with_tasks:
            yield from self._task_runs(self._sent_before("task_runs", {row["task_run_id"] for row in made} - {None}))

    def _sent_before(self, table: str, ids: set[str]) -> list[Row]:
        since = self.position(table)
        return [
            run
            for run in self.tables.rows_by(table, "id", sorted(ids))
            if (run["_airbyte_extracted_at"], run["id"]) <= since
        ]

    def _assets(self, column: str, runs: Sequence[Row]) -> Mapping[str, list[Row]]:
        assets: dict[str, list[Row]] = defaultdict(list)
        for made in self.tables.rows_by("asset_materializations", column, [run["id"] for run in runs]):
            assets[made[column]].append(made)
        return assets


class _Ancestors:
    """The flow runs above some flow runs, read a level at a time."""

    def __init__(self, tables: Tables, events: Events, runs: Sequence[Row]) -> None:
        self._jobs = events.jobs
        self._known: dict[str, Row] = {}
        # The flow run that called a subflow run, by the latter.
        self.caller: dict[str, str] = {}
        while runs:
            self._known |= {run["id"]: run for run in runs}
            stands_for = {run["parent_task_run_id"]: run["id"] for run in runs if run["parent_task_run_id"]}
            tasks = tables.rows_by("task_runs", "id", sorted(stands_for))
            self.caller |= {stands_for[task["id"]]: task["flow_run_id"] for task in tasks if task["flow_run_id"]}
            runs = tables.rows_by("flow_runs", "id", sorted(set(self.caller.values()) - self._known.keys()))

    def of(self, flow_run_id: str | None) -> Parent | None:
        """This flow run as a parent; None where there is none, or the sync did not bring it."""
        run = self._known.get(flow_run_id or "")
        if run is None:
            return None
        root = run
        while above := self._known.get(self.caller.get(root["id"], "")):
            root = above
        return Parent(run["id"], self._jobs.name(run), root["id"], self._jobs.name(root))
