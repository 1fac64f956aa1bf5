"""Work pools and queues, concurrency limits, automations, schedules: small tables, read whole."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import read_here as read
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import proxy

# The path of each stream's table in the API.
TABLES = {
    "work_pools": "work_pools",
    "work_queues": "work_queues",
    "global_concurrency_limits": "v2/concurrency_limits",
    "automations": "automations",
}

# Arrays and maps: JSON text.
JSON_TEXT = {
    *("base_job_template", "storage_configuration", "filter", "tags", "trigger", "actions", "actions_on_trigger"),
    *("actions_on_resolve", "parameters"),
}


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def expected(row: dict[str, Any]) -> dict[str, Any]:
    """The row without nulls, which the CDK leaves out of its messages."""
    return {key: text(value) if key in JSON_TEXT else value for key, value in row.items() if value is not None}


@pytest.fixture(scope="module")
def tables(server: PrefectServer) -> dict[str, list[dict[str, Any]]]:
    """The API's rows of a team with more of everything than fits on its smallest page."""
    for name in ("Köln", "shop", "spare", "zeta", "alpha"):
        template = {"job_configuration": {"command": "run"}, "variables": {"properties": {"a.b": {"default": [1]}}}}
        server.post("work_pools/", {"name": name, "type": "process", "base_job_template": template})
    server.patch("work_pools/shop", {"concurrency_limit": 3, "is_paused": True})
    server.post("work_pools/shop/queues/", {"name": "urgent", "priority": 1, "concurrency_limit": 2})
    for name, decay in (("database", 0.0), ("crm", 0.5), ("mail", 0.0)):
        server.post("v2/concurrency_limits/", {"name": name, "limit": 5, "slot_decay_per_second": decay})
    trigger = {"type": "event", "posture": "Reactive", "expect": ["shop.*"], "threshold": 1, "within": 0}
    for name in ("notify", "cancel", "pause"):
        body = {"name": name, "trigger": trigger, "actions": [{"type": "do-nothing"}], "tags": ["shop"]}
        server.post("automations/", body)
    rows = {stream: server.rows(table) for stream, table in TABLES.items()}
    assert {stream: len(found) for stream, found in rows.items()} == {
        "work_pools": 5,
        "work_queues": 6,
        "global_concurrency_limits": 3,
        "automations": 3,
    }
    return rows


def test_whole_rows_in_few_requests(server: PrefectServer, tables: dict[str, list[dict[str, Any]]]) -> None:
    with proxy(server.url) as counted:
        sync = read({"connection": {"type": "server", "api_url": counted.url}}, list(TABLES)).ok()
    for stream, rows in tables.items():
        assert sorted(sync.records[stream], key=lambda row: str(row["id"])) == sorted(
            map(expected, rows), key=lambda row: str(row["id"])
        )
    assert [len(counted.requests(f"{table}/filter")) for table in TABLES.values()] == [1, 1, 1, 1]


def test_tables_of_several_pages_come_whole_and_once(
    config: dict[str, Any], tables: dict[str, list[dict[str, Any]]]
) -> None:
    sync = read({**config, "page_size": 2}, list(TABLES)).ok()
    for stream, rows in tables.items():
        assert sorted(sync.ids(stream)) == sorted(row["id"] for row in rows)


def test_a_later_sync_emits_what_changed(
    server: PrefectServer, config: dict[str, Any], tables: dict[str, list[dict[str, Any]]]
) -> None:
    _age(server, "work_pool", "work_queue", "concurrency_limit_v2", "automation")
    urgent = next(queue for queue in tables["work_queues"] if queue["name"] == "urgent")
    server.patch(f"work_queues/{urgent['id']}", {"is_paused": True})
    server.patch("v2/concurrency_limits/crm", {"limit": 7})
    sync = read(config, list(TABLES), _state(datetime.now(UTC) - timedelta(minutes=5))).ok()
    [queue], [limit] = sync.records["work_queues"], sync.records["global_concurrency_limits"]
    assert (queue["name"], queue["is_paused"], limit["name"], limit["limit"]) == ("urgent", True, "crm", 7)
    assert sync.records["work_pools"] == sync.records["automations"] == []


def test_a_work_queue_that_was_polled_has_changed(server: PrefectServer, config: dict[str, Any]) -> None:
    _age(server, "work_pool", "work_queue")
    server.post("work_pools/shop/get_scheduled_flow_runs", {"work_queue_names": ["urgent"]})
    # The server notes it after its answer.
    deadline = time.monotonic() + 60
    while not server.get("work_pools/shop/queues/urgent")["last_polled"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sync = read(config, ["work_queues"], _state(datetime.now(UTC) - timedelta(minutes=5))).ok()
    assert [queue["name"] for queue in sync.records["work_queues"] if "last_polled" in queue] == ["urgent"]


# Schedules


@pytest.fixture(scope="module")
def deployment(server: PrefectServer) -> dict[str, Any]:
    """A deployment with a schedule of each kind, and one without."""
    flow = server.post("flows/", {"name": "load-orders"})
    server.post("deployments/", {"name": "manual", "flow_id": flow["id"]})
    schedules = [
        {"schedule": {"cron": "0 2 * * *", "timezone": "Europe/Berlin"}, "slug": "night", "parameters": {"full": True}},
        {"schedule": {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z"}, "active": False},
        {"schedule": {"rrule": "FREQ=WEEKLY;BYDAY=MO"}},
    ]
    body = {"name": "nightly", "flow_id": flow["id"], "schedules": schedules}
    created: dict[str, Any] = server.post("deployments/", body)
    return created


def test_every_schedule_is_a_row(config: dict[str, Any], deployment: dict[str, Any]) -> None:
    rows = read(config, ["deployment_schedules"]).ok().records["deployment_schedules"]
    shared = {
        "deployment_id": deployment["id"],
        "deployment_name": "nightly",
        "flow_id": deployment["flow_id"],
    }
    by_kind = {kind: row for row in rows for kind in ("cron", "interval", "rrule") if f"schedule_{kind}" in row}
    raw = {entry["id"]: entry for entry in deployment["schedules"]}
    times = {kind: {key: raw[row["id"]][key] for key in ("id", "created", "updated")} for kind, row in by_kind.items()}
    assert by_kind == {
        "cron": {
            **shared,
            **times["cron"],
            "active": True,
            "is_active": True,
            "slug": "night",
            "schedule_cron": "0 2 * * *",
            "schedule_timezone": "Europe/Berlin",
            "schedule_day_or": True,
            "parameters": '{"full":true}',
        },
        "interval": {
            **shared,
            **times["interval"],
            "active": False,
            "is_active": False,
            "schedule_interval": 3600.0,
            "schedule_anchor_date": "2026-01-01T00:00:00Z",
            "schedule_timezone": "UTC",
            "parameters": "{}",
        },
        "rrule": {
            **shared,
            **times["rrule"],
            "active": True,
            "is_active": True,
            "schedule_rrule": "DTSTART:20200101T000000\nFREQ=WEEKLY;BYDAY=MO",
            "schedule_timezone": "UTC",
            "parameters": "{}",
        },
    }


def test_the_next_refresh_brings_no_deleted_schedule_and_none_as_active_of_a_paused_deployment(
    server: PrefectServer, config: dict[str, Any], deployment: dict[str, Any]
) -> None:
    night = next(entry for entry in deployment["schedules"] if entry["slug"] == "night")
    server.delete(f"deployments/{deployment['id']}/schedules/{night['id']}")
    server.post(f"deployments/{deployment['id']}/pause_deployment")
    rows = read(config, ["deployment_schedules"]).ok().records["deployment_schedules"]
    assert len(rows) == 2
    assert night["id"] not in {row["id"] for row in rows}
    assert [row["is_active"] for row in rows] == [False, False]


def _age(server: PrefectServer, *tables: str) -> None:
    """Let the rows have been changed an hour earlier."""
    with closing(sqlite3.connect(server.database, timeout=60)) as connection, connection:
        for table in tables:
            connection.execute(f"UPDATE {table} SET updated = strftime('%Y-%m-%d %H:%M:%f000', updated, '-1 hour')")


def _state(cursor: datetime) -> list[dict[str, Any]]:
    state = {"updated": cursor.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    return [{"stream": {"stream_descriptor": {"name": stream}, "stream_state": state}} for stream in TABLES]
