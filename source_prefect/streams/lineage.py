from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from source_prefect.pagination import Row
from source_prefect.records.tag_edges import edge_id, edges, split_name
from source_prefect.streams.base import Step
from source_prefect.streams.tables import TableRetriever
from source_prefect.sync.state import StreamState
from source_prefect.times import latest

# The fields of each flow that are kept until the deployments have been read.
_FLOW_FIELDS = ("id", "name", "updated", "tags")


@dataclass
class LineageRetriever(TableRetriever):
    """The edges between tables that the tags of flows and deployments declare.

    A deployment does not hold its flow's name and tags, and the CDK could only request each flow separately. So the
    flows are read first and kept, and then the deployments page by page. In this order a flow that gets its first
    deployment between the two reads is not taken for one without.
    """

    def sync(self, state: StreamState) -> Iterator[Step]:  # noqa: ARG002  (always read whole)
        flows = {flow["id"]: flow for rows in self.ordered_by("created", "flows") for flow in map(_kept, rows)}
        deployed: set[Any] = set()
        for deployments in self.ordered_by("created", "deployments"):
            flow_ids = {deployment.get("flow_id") for deployment in deployments}
            flows |= self._created_meanwhile(flow_ids - flows.keys() - {None})
            deployed |= flow_ids
            for deployment in deployments:
                flow_id = deployment.get("flow_id")
                # Of a flow that was deleted meanwhile, only the id is known.
                yield list(self._edges(flows.get(flow_id) or {"id": flow_id}, deployment))
        for flow in flows.values():
            if flow["id"] not in deployed:
                yield list(self._edges(flow, {}))

    def _created_meanwhile(self, flow_ids: Collection[Any]) -> dict[Any, Row]:
        """The flows of a page of deployments that were created after the flows were read: at most a page."""
        if not flow_ids:
            return {}
        page = self.client.fetch("flows/filter", flows={"id": {"any_": sorted(flow_ids)}})
        return {flow["id"]: flow for flow in map(_kept, page.rows)}

    def _edges(self, flow: Row, deployment: Row) -> Iterator[Row]:
        """The rows of a deployment, or of a flow without one, where `deployment` is empty."""
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
                "ui_url": f"{self.config['ui_url']}/{page}",
            }


def _kept(flow: Row) -> Row:
    return {column: flow.get(column) for column in _FLOW_FIELDS}


def _tags(row: Row) -> list[Any]:
    tags = row.get("tags")
    return tags if isinstance(tags, list) else []


def _columns(side: str, name: str | None) -> Row:
    parts = split_name(name)._asdict()
    return {side: name, **{f"{side}_{part}": text for part, text in parts.items()}}
