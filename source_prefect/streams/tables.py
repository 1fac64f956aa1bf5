from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from source_prefect.pagination import (
    Page,
    Row,
    Rows,
    consecutive_pages,
    pages_by_offset,
    pages_unordered,
    smaller,
    time_key,
)
from source_prefect.records.flatten import objects_in
from source_prefect.records.transformations import is_off
from source_prefect.streams.base import PrefectRetriever, Step
from source_prefect.sync.digests import Digests
from source_prefect.sync.state import StreamState
from source_prefect.times import ONE_MICROSECOND, format_time, latest, parse_time

# Fields of a schedule in Prefect Cloud that change with each run, and are no change of the deployment.
_MOVING = {"last_scheduled_at", "soonest_scheduled_run", "latest_scheduled_run"}


@dataclass
class TableRetriever(PrefectRetriever):
    """Flows, variables, artifacts, automations: tables that the API can order but not filter by time.

    A first sync reads them in the order of their creation, which never changes. A later one reads the newest changes
    first and stops at the cursor, so its cost depends on what changed.

    `since_start_date` leaves out what was created before the config's `start_date`.
    """

    since_start_date: bool = False

    def sync(self, state: StreamState) -> Iterator[Step]:
        changed_since, created_since = state.changed_since, self.start_date if self.since_start_date else None
        order, oldest = ("updated", changed_since) if changed_since else ("created", created_since)
        for rows in self.ordered_by(order):
            yield [row for row in rows if _at_or_after(row, created_since, changed_since)]
            if oldest and rows and (at := parse_time(rows[-1].get(order))) and at < oldest:
                break
        yield self.reached(self.watermark.value)

    def ordered_by(self, column: str, table: str | None = None) -> Iterator[Rows]:
        """All rows of the stream's table, or of another, in descending order of a time."""
        path, sort = f"{table}/filter" if table else None, f"{column.upper()}_DESC"

        def page_at(offset: int, number: int) -> Page:
            return self.client.fetch(path, sort=sort, offset=offset, limit=smaller(self.client.page_size, number))

        for rows in pages_by_offset(page_at, time_key(column)):
            self.progress.add(rows, column)
            yield rows


@dataclass
class DeploymentRetriever(TableRetriever):
    """Deployments. A change of a schedule, a limit or a work queue does not move their `updated`.

    Every sync reads them all and sends those whose digests differ from those in the state. `updated` becomes the
    latest of the deployment and its schedules, or, where only the digest shows a change, the time of the sync:
    a destination keeps the row with the latest `updated`.
    """

    def sync(self, state: StreamState) -> Iterator[Step]:
        # The time of a worker's last poll is no change of the deployment.
        digests = Digests(volatile={"last_polled"})
        newest = None
        for rows in self.ordered_by("created"):
            for row in rows:
                digests.add(_at_rest(row))
                _take_latest_updated(row)
            newest = latest([newest, *(row.get("updated") for row in rows)])
            self.watermark.observe(rows)
            if not state.digests:
                yield rows
        if state.digests:
            yield from self._by_id(digests.changed_since(state.digests), state)
        yield self.reached(self.watermark.value, digests=digests.dump(), newest=parse_time(newest))

    def _by_id(self, ids: list[str], state: StreamState) -> Iterator[Rows]:
        size = self.client.page_size
        for start in range(0, len(ids), size):
            page = self.client.fetch(deployments={"id": {"any_": ids[start : start + size]}})
            for row in page.rows:
                _take_latest_updated(row)
                self._date_silent_change(row, state)
            yield page.rows

    def _date_silent_change(self, row: Row, state: StreamState) -> None:
        """Where no time shows the change, date it now: a destination keeps the row with the latest `updated`.

        The `Date` of an answer may be a second old or missing, so the row's own time counts too.
        """
        updated, now = parse_time(row.get("updated")), self.watermark.scan_start
        if updated and state.newest and updated <= state.newest:
            row["updated"] = format_time(max(now or updated, updated + ONE_MICROSECOND))


@dataclass
class UnorderedTableRetriever(PrefectRetriever):
    """Work pools, work queues, concurrency limits: small tables that the API always orders by name.

    Every sync reads them whole and sends what changed.
    """

    def sync(self, state: StreamState) -> Iterator[Step]:
        for rows in pages_unordered(self._pages):
            yield [row for row in rows if _at_or_after(row, None, state.changed_since)]
        yield self.reached(self.watermark.value)

    def _pages(self, number: int) -> Iterator[Page]:
        limit = smaller(self.client.page_size, number)
        return consecutive_pages(lambda offset: self.client.fetch(limit=limit, offset=offset))


@dataclass
class ScheduleRetriever(TableRetriever):
    """One row for each schedule of every deployment. The API has no list of schedules; the deployments hold them."""

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        for deployment in rows:
            for schedule in objects_in(deployment.get("schedules")):
                yield {
                    **schedule,
                    "deployment_id": deployment.get("id"),
                    "deployment_name": deployment.get("name"),
                    "flow_id": deployment.get("flow_id"),
                    "is_active": bool(schedule.get("active")) and not is_off(deployment),
                }


def _at_or_after(row: Row, created_since: datetime | None, changed_since: datetime | None) -> bool:
    """Whether to send the row. A row without a time is sent."""
    created = parse_time(row.get("created")) if created_since else None
    updated = parse_time(row.get("updated")) if changed_since else None
    return not (
        (created_since and created and created < created_since)
        or (changed_since and updated and updated < changed_since)
    )


def _at_rest(deployment: Row) -> Row:
    schedules = objects_in(deployment.get("schedules"))
    return {**deployment, "schedules": [{k: s[k] for k in s if k not in _MOVING} for s in schedules]}


def _take_latest_updated(deployment: Row) -> None:
    parts = [deployment, *objects_in(deployment.get("schedules"))]
    if updated := latest(part.get("updated") for part in parts):
        deployment["updated"] = updated
