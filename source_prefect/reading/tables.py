from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.paging import (
    Page,
    Row,
    Rows,
    consecutive_pages,
    pages_by_offset,
    pages_unordered,
    pages_with_ties,
    smaller,
    time_key,
)
from source_prefect.progress.digests import Digests
from source_prefect.reading.scan import PrefectRetriever, Scan, Step
from source_prefect.records.flatten import objects_in
from source_prefect.records.transformations import is_off
from source_prefect.times import ONE_MICROSECOND, format_time, latest, parse_time, shift

# Fields of a schedule in Prefect Cloud that change with each run, not with the deployment.
_MOVING = {"last_scheduled_at", "soonest_scheduled_run", "latest_scheduled_run"}


@dataclass(kw_only=True)
class TableRetriever(PrefectRetriever):
    """Flows, variables, artifacts, automations: the API can order them by time, but not filter.

    A first sync reads them by `creation_time`, which never changes. A later one reads by
    `change_time`, newest first, and stops at the cursor, so its cost depends on what changed.
    `since_start_date` leaves out what was created before the `start_date` of the settings.
    """

    creation_time: str = "created"
    change_time: str = "updated"
    since_start_date: bool = False

    def sync(self, scan: Scan) -> Iterator[Step]:
        changed_since = scan.state.changed_since
        created_since = scan.settings.start_date if self.since_start_date else None
        order, oldest = (self.change_time, changed_since) if changed_since else (self.creation_time, created_since)
        for rows in ordered_by(scan, order):
            recent = [row for row in rows if _at_or_after(row, self.creation_time, created_since)]
            yield [row for row in recent if _at_or_after(row, self.change_time, changed_since)]
            if oldest and rows and (at := parse_time(rows[-1].get(order))) and at < oldest:
                break
        yield scan.checkpoint(scan.watermark.value)


@dataclass(kw_only=True)
class DeploymentRetriever(PrefectRetriever):
    """Deployments. A change of a schedule, a limit or a work queue does not move their `updated`.

    Every sync reads them all and sends those whose digests differ from those in the state. The
    `volatile` columns change without a change of the deployment.

    A destination keeps the row with the latest `updated`. So it becomes the latest of the
    deployment and its schedules, or, where only the digest shows a change, the time of the sync.
    """

    creation_time: str
    volatile: Collection[str]

    def sync(self, scan: Scan) -> Iterator[Step]:
        digests, newest, saved = Digests(self.volatile), None, scan.state.digests
        for rows in ordered_by(scan, self.creation_time):
            for row in rows:
                schedules = objects_in(row.get("schedules"))
                digests.add({**row, "schedules": [{k: s[k] for k in s if k not in _MOVING} for s in schedules]})
                _take_latest_updated(row)
            newest = latest([newest, *(row.get("updated") for row in rows)])
            scan.watermark.observe(rows, None)
            if not saved:
                yield rows
        if saved:
            yield from _by_id(scan, digests.changed_since(saved))
        yield scan.checkpoint(scan.watermark.value, digests=digests.dump(), newest=parse_time(newest))


def _by_id(scan: Scan, ids: list[str]) -> Iterator[Rows]:
    size, newest = scan.client.page_size, scan.state.newest
    for start in range(0, len(ids), size):
        page = scan.client.fetch(deployments={"id": {"any_": ids[start : start + size]}})
        for row in page.rows:
            _take_latest_updated(row)
            updated = parse_time(row.get("updated"))
            # No time shows the change.
            if updated and newest and updated <= newest:
                # The `Date` of an answer may be old or missing, so the row's time counts too.
                row["updated"] = format_time(max(scan.watermark.scan_start or updated, shift(updated, ONE_MICROSECOND)))
        yield page.rows


@dataclass(kw_only=True)
class SmallTableRetriever(PrefectRetriever):
    """Work pools, work queues, concurrency limits: small tables that the API orders by name only.

    Every sync reads them completely and sends what changed. `body` is what a request says besides.
    `has_ties`: several rows may have one name.
    """

    change_time: str
    has_ties: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)

    def sync(self, scan: Scan) -> Iterator[Step]:
        for rows in unordered(scan, has_ties=self.has_ties, **self.body):
            yield [row for row in rows if _at_or_after(row, self.change_time, scan.state.changed_since)]
        yield scan.checkpoint(scan.watermark.value)


@dataclass(kw_only=True)
class BlockDocumentRetriever(SmallTableRetriever):
    """An inventory of block documents. What they hold goes no further than here, secret or not."""

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        for row in rows:
            kind, schema = (row.get(name) or {} for name in ("block_type", "block_schema"))
            used = (row.get("block_document_references") or {}).values()
            yield {
                **{name: row.get(name) for name in ("id", "created", "updated", "name", "is_anonymous")},
                "block_type_id": row.get("block_type_id"),
                "block_type_name": kind.get("name"),
                "block_type_slug": kind.get("slug"),
                "block_schema_id": row.get("block_schema_id"),
                "block_schema_version": schema.get("version"),
                "capabilities": schema.get("capabilities"),
                "used_block_documents": sorted({each["block_document"]["id"] for each in used}),
            }


@dataclass(kw_only=True)
class WorkerRetriever(PrefectRetriever):
    """The workers of each work pool of `table`: the API has no list of all.

    Every sync reads them all, because a worker that has stopped shows by its `status` alone.
    """

    def sync(self, scan: Scan) -> Iterator[Step]:
        for pool in _all(scan, has_ties=False):
            with _unless_deleted(scan, pool):
                for rows in unordered(scan, f"{self.table}/{quote(pool['name'], safe='')}/workers"):
                    yield [{**row, "work_pool_name": pool["name"]} for row in rows]


@dataclass(kw_only=True)
class QueueStatusRetriever(PrefectRetriever):
    """The status of each queue of `table`, one request each: the list tells of no late runs."""

    def sync(self, scan: Scan) -> Iterator[Step]:
        for queue in _all(scan, has_ties=True):
            with _unless_deleted(scan, queue):
                known = {name: queue.get(name) for name in ("id", "name", "work_pool_id", "work_pool_name")}
                yield [{**scan.client.get(f"{self.table}/{queue['id']}/status"), **known}]


@dataclass(kw_only=True)
class ScheduleRetriever(PrefectRetriever):
    """One row for each schedule of every deployment.

    The API has no list of schedules; the deployments hold them.
    """

    creation_time: str

    def sync(self, scan: Scan) -> Iterator[Step]:
        return ordered_by(scan, self.creation_time)

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


def ordered_by(scan: Scan, column: str, table: str = "") -> Iterator[Rows]:
    """All rows of the stream's table, or of another, in descending order of a time."""
    sort = f"{column.upper()}_DESC"

    def page_at(offset: int, number: int) -> Page:
        return scan.client.fetch(table, sort=sort, offset=offset, limit=smaller(scan.client.page_size, number))

    for rows in pages_by_offset(page_at, time_key(column)):
        scan.progress.add(rows, column)
        yield rows


def unordered(scan: Scan, table: str = "", *, has_ties: bool = False, **body: Any) -> Iterator[Rows]:
    """All rows of the stream's table, or of another, whose order changes while it is read.

    `has_ties`: it is ordered by names, several rows may have one, and the API filters by it.
    """

    def page_at(offset: int, number: int) -> Page:
        return scan.client.fetch(table, limit=smaller(scan.client.page_size, number), offset=offset, **body)

    def named(name: str) -> Iterator[Rows]:
        wanted: dict[str, Any] = {table or scan.client.table: {"name": {"any_": [name]}}}
        return unordered(scan, table, **body, **wanted)

    if has_ties:
        return pages_unordered(pages_with_ties(page_at, named, "name"))
    return pages_unordered(lambda number: consecutive_pages(page_at, number))


def _all(scan: Scan, *, has_ties: bool) -> list[Row]:
    """All rows of the stream's table, before anything is asked about one of them."""
    return [row for rows in unordered(scan, has_ties=has_ties) for row in rows]


@contextmanager
def _unless_deleted(scan: Scan, row: Row) -> Iterator[None]:
    """Pass a failure on, unless the reason is that the row was deleted meanwhile."""
    try:
        yield
    except AirbyteTracedException:
        wanted: dict[str, Any] = {scan.client.table: {"id": {"any_": [row["id"]]}}}
        if scan.client.fetch(**wanted).rows:
            raise


def _at_or_after(row: Row, column: str, since: datetime | None) -> bool:
    """Whether to send the row. A row without a time is sent."""
    at = parse_time(row.get(column)) if since else None
    return not (since and at and at < since)


def _take_latest_updated(deployment: Row) -> None:
    parts = [deployment, *objects_in(deployment.get("schedules"))]
    if updated := latest(part.get("updated") for part in parts):
        deployment["updated"] = updated
