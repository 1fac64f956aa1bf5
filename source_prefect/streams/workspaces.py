from collections.abc import Iterator
from dataclasses import dataclass

from source_prefect.http.workspaces import workspace_of
from source_prefect.streams.base import PrefectRetriever, Step
from source_prefect.sync.state import StreamState


@dataclass
class WorkspaceRetriever(PrefectRetriever):
    """The workspace of Prefect Cloud that the other rows come from. A server has none."""

    def sync(self, state: StreamState) -> Iterator[Step]:  # noqa: ARG002  (always read whole)
        connection = self.config["connection"]
        if connection["type"] == "server":
            return
        workspace = workspace_of(self.config)
        yield [
            {
                "id": connection["workspace_id"],
                "name": workspace.get("workspace_name"),
                "handle": workspace.get("workspace_handle"),
                "description": workspace.get("workspace_description"),
                "account_name": workspace.get("account_name"),
                "account_handle": workspace.get("account_handle"),
                "ui_url": self.config["ui_url"],
            }
        ]
