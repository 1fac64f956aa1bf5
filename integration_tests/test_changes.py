"""What a real server's events of changes become: their shapes are Prefect's, not ours."""

from typing import Any

from devtools.server import PrefectServer
from integration_tests.seeding import make_deployment, make_flow
from source_prefect.records.changes import PREFIXES, changes


def test_changes_of_every_kind_of_object(server: PrefectServer) -> None:
    flow = make_flow(server)
    deployment = make_deployment(server, flow, "nightly")
    server.patch(f"deployments/{deployment}", {"description": "new"})
    server.post("work_pools/", {"name": "cloud", "type": "process"})
    server.patch("work_pools/cloud", {"concurrency_limit": 3, "is_paused": True})
    server.post("variables/", {"name": "schema", "value": "staging"})
    server.patch("variables/name/schema", {"value": "mart"})
    server.delete("variables/name/schema")
    server.delete("work_pools/cloud")
    server.delete(f"deployments/{deployment}")
    server.wait_for_events()

    events = server.post("events/filter", {"limit": 50, "filter": {"event": {"prefix": PREFIXES}, "order": "ASC"}})
    rows = [row for event in events["events"] for row in changes(event)]
    told = [(row["object_type"], row["object_name"], row["action"], row["field"], row["before"], row["after"])
            for row in rows if row["object_type"] in ("deployment", "work-pool", "variable")]  # fmt: skip
    staging: Any
    mart: Any
    staging, mart = ({"name": "schema", "value": value, "tags": []} for value in ("staging", "mart"))
    assert sorted(told, key=str) == sorted(
        [
            ("deployment", "nightly", "created", None, None, None),
            ("deployment", "nightly", "updated", "description", None, "new"),
            ("deployment", "nightly", "deleted", None, None, None),
            ("work-pool", "cloud", "created", None, None, None),
            ("work-pool", "cloud", "paused", None, None, None),
            ("work-pool", "cloud", "updated", "concurrency_limit", None, 3),
            ("work-pool", "cloud", "deleted", None, None, None),
            ("variable", "schema", "created", None, None, staging),
            ("variable", "schema", "updated", None, None, mart),
            ("variable", "schema", "deleted", None, mart, None),
        ],
        key=str,
    )
    assert len({row["id"] for row in rows}) == len(rows)
