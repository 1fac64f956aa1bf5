from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from source_prefect.paging import Row
from source_prefect.reading.scan import PrefectRetriever, Scan, Step
from source_prefect.reading.tables import ordered_by
from source_prefect.records.tag_edges import edge_id, edges, split_name
from source_prefect.server import ui_url
from source_prefect.times import latest

# The fields of each flow that are kept until the deployments have been read.
_FLOW_FIELDS = ("id", "name", "updated", "tags")
# A flow with a thousand sources and a thousand destinations has a million edges.
_EDGES_AT_A_TIME = 1000


@dataclass(kw_only=True)
class LineageRetriever(PrefectRetriever):
    """The edges between tables that the tags of flows and deployments declare.

    A deployment does not hold its flow's name and tags. So the flows are read first and kept, and
    then the deployments page by page. In this order, a flow that gets its first deployment between
    the two reads has no rows without one.
    """

    creation_time: str
    flow_table: str

    def sync(self, scan: Scan) -> Iterator[Step]:
        pages = ordered_by(scan, self.creation_time, self.flow_table)
        flows = {flow["id"]: flow for rows in pages for flow in map(_kept, rows)}
        deployed: set[Any] = set()
        for deployments in ordered_by(scan, self.creation_time):
            flow_ids = {deployment.get("flow_id") for deployment in deployments}
            # Flows that were created after the others were read: at most a page.
            if created := flow_ids - flows.keys() - {None}:
                page = scan.client.fetch(self.flow_table, flows={"id": {"any_": sorted(created)}})
                flows |= {flow["id"]: flow for flow in map(_kept, page.rows)}
            deployed |= flow_ids
            for deployment in deployments:
                flow_id = deployment.get("flow_id")
                # Of a flow that was deleted meanwhile, only the id is known.
                yield from _edges(scan, flows.get(flow_id) or {"id": flow_id}, deployment)
        for flow in flows.values():
            if flow["id"] not in deployed:
                yield from _edges(scan, flow, {})


def _edges(scan: Scan, flow: Row, deployment: Row) -> Iterator[Step]:
    """The rows of a deployment, or of a flow without one, where `deployment` is empty."""
    rows = _rows(ui_url(scan.session, scan.workspace), flow, deployment)
    while some := list(islice(rows, _EDGES_AT_A_TIME)):
        yield some


def _rows(ui: str, flow: Row, deployment: Row) -> Iterator[Row]:
    flow_id, deployment_id = flow["id"], deployment.get("id")
    page = f"deployments/deployment/{deployment_id}" if deployment_id else f"flows/flow/{flow_id}"
    for edge in edges([*_tags(deployment), *_tags(flow)]):
        yield {
            "id": edge_id(flow_id, deployment_id, edge),
            **_columns("source", edge.source),
            **_columns("destination", edge.destination),
            "flow_id": flow_id,
            "flow_name": flow.get("name"),
            "deployment_id": deployment_id,
            "deployment_name": deployment.get("name"),
            "tag_format": edge.tag_format,
            "updated": latest([flow.get("updated"), deployment.get("updated")]),
            "ui_url": f"{ui}/{page}",
        }


def _kept(flow: Row) -> Row:
    return {column: flow.get(column) for column in _FLOW_FIELDS}


def _tags(row: Row) -> list[Any]:
    tags = row.get("tags")
    return tags if isinstance(tags, list) else []


def _columns(side: str, name: str | None) -> Row:
    return {side: name, **{f"{side}_{part}": text for part, text in split_name(name)._asdict().items()}}
