"""What a destination holds after syncs, beside what the API says."""

from devtools.data.seeding import RUNS
from devtools.servers.cloud import Workspace
from devtools.servers.prefect import PrefectServer
from integration_tests.record_rules import comparable, expected_row
from integration_tests.torture.destination import Destination


def assert_equal(
    destination: Destination,
    server: PrefectServer,
    *streams: str,
    url: str = "",
    workspace: Workspace | None = None,
) -> None:
    """Every row of the destination equals the API's, column by column, and names its workspace."""
    ui = workspace.ui_url if workspace else (url or server.url).removesuffix("/api")
    ids = {"account_id": workspace.account_id, "workspace_id": workspace.workspace_id} if workspace else {}
    for stream in streams:
        rows = server.rows(stream, sort="ID_DESC" if stream in RUNS else "CREATED_DESC")
        expected = {row["id"]: comparable(expected_row(stream, row, ui) | ids) for row in rows}
        assert expected
        assert {row_id: comparable(destination.tables[stream].get(row_id, {})) for row_id in expected} == expected
