from collections.abc import Iterator
from dataclasses import dataclass

from source_prefect.cloud import details
from source_prefect.reading.scan import PrefectRetriever, Scan, Step


@dataclass(kw_only=True)
class WorkspaceRetriever(PrefectRetriever):
    """The workspace of Prefect Cloud that the other rows come from. A server has none."""

    def sync(self, scan: Scan) -> Iterator[Step]:
        workspace = scan.workspace
        if workspace.workspace_id:
            known = details(scan.session, workspace)
            yield [
                {
                    "id": workspace.workspace_id,
                    "name": known.get("workspace_name"),
                    "handle": known.get("workspace_handle"),
                    "description": known.get("workspace_description"),
                    "account_name": known.get("account_name"),
                    "account_handle": known.get("account_handle"),
                    "ui_url": workspace.ui_url,
                }
            ]
