import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from source_prefect.paging import Row, Rows
from source_prefect.progress.seen import SeenObjects
from source_prefect.progress.state import StreamState
from source_prefect.reading.events import EventRetriever
from source_prefect.reading.scan import Scan, Step
from source_prefect.records.changes import changes, deletion

LOGGER = logging.getLogger("airbyte")


@dataclass(kw_only=True)
class ChangeLogRetriever(EventRetriever):
    """Changes by their events, and deletions without one: of objects gone from their table.

    A server up to 3.7.2 sends no event for most deletions, and none sends one for deployments that
    are deleted with their flow. A table of more than a page is not compared, because the state has
    no room for it.
    """

    # The tables that a Prefect Server is asked for, by the type of their objects.
    compared: Mapping[str, str]

    def sync(self, scan: Scan) -> Iterator[Step]:
        seen = SeenObjects(scan.state.objects, scan.workspace.api_url)
        for step in super().sync(scan):
            if isinstance(step, StreamState):
                yield replace(step, objects=seen.dump())
                continue
            rows = [row for event in step for row in changes(event)]
            for row in rows:
                if row["action"] == "deleted":
                    seen.mark_reported(row["object_type"], row["object_id"])
            yield rows
        if not scan.workspace.workspace_id:
            yield [row for event in self._deletions(scan, seen) for row in changes(event)]
            yield scan.checkpoint(scan.watermark.value, objects=seen.dump())

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        return rows  # `sync` has made them, because it learns from them.

    def _deletions(self, scan: Scan, seen: SeenObjects) -> Iterator[Row]:
        # Not before the tables are read: the server's clock is known in full seconds only.
        now = scan.session.now + timedelta(seconds=1)
        for object_type, table in self.compared.items():
            page = scan.client.fetch(table)
            if page.full or page.unreadable:
                why = "fills a page" if page.full else "has rows that cannot be read"
                LOGGER.info(f"{scan.label}: {table} {why}, so only events report what is deleted there.")
                seen.forget(object_type)
                continue
            names = {row["id"]: row.get("name") for row in page.rows}
            for object_id, known in seen.compare(object_type, names, now):
                yield deletion(object_type, object_id, *known)
