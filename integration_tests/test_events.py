"""The event feed and the tables made from it: real runs, late, many at once, deleted meanwhile."""

import json
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import State, Sync
from devtools.connector import read_here as read
from devtools.data.bulk import insert_events
from devtools.servers.faults import recorded_waits
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import TIME, Answer, Forward, Request, proxy
from source_prefect.reading import feeds

DERIVED = ["flow_run_state_transitions", "asset_materializations", "asset_lineage"]
# Requests: so many are not made.
MANY = 30
NOW = datetime.now(UTC).replace(microsecond=0)
PAID = {"event_prefixes": ["shop.order."]}


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.fixture(scope="module")
def events(server: PrefectServer) -> list[dict[str, Any]]:
    """The server's events, newest first, after a flow with an asset has run twice over."""
    subprocess.run(
        [sys.executable, "-m", "devtools.data.flows", "refresh-marts"], env=server.env, check=True, timeout=120
    )
    server.wait_for_events()
    found: list[dict[str, Any]] = server.post("events/filter", {"limit": 50})["events"]
    assert any(event["event"] == "prefect.flow-run.Completed" for event in found)
    return found


@pytest.fixture(scope="module")
def first_sync(config: dict[str, Any], events: list[dict[str, Any]]) -> Sync:
    assert events
    return read(config, ["events", *DERIVED]).ok()


def test_whole_events(events: list[dict[str, Any]], first_sync: Sync) -> None:
    expected = [
        {
            **{key: event[key] for key in ("id", "occurred", "received", "event", "follows") if event[key] is not None},
            **{key: text(event[key]) for key in ("resource", "related", "payload")},
            "resource_id": event["resource"]["prefect.resource.id"],
            **({"resource_name": name} if (name := event["resource"].get("prefect.resource.name")) else {}),
        }
        for event in events
    ]
    assert _sorted(first_sync.records["events"]) == _sorted(expected)


def test_every_change_of_state_is_a_row(server: PrefectServer, events: list[dict[str, Any]], first_sync: Sync) -> None:
    [run] = server.rows("flow_runs")
    [flow] = server.rows("flows")
    raw = {event["id"]: event for event in events}
    rows = first_sync.records["flow_run_state_transitions"]
    assert [(row.get("from_state_name"), row["to_state_name"]) for row in rows] == [
        (None, "Pending"),
        ("Pending", "Running"),
        ("Running", "AwaitingRetry"),
        ("AwaitingRetry", "Running"),
        ("Running", "Completed"),
    ]
    assert rows[2] == {
        "id": rows[2]["id"],
        "occurred": raw[rows[2]["id"]]["occurred"],
        "received": raw[rows[2]["id"]]["received"],
        "flow_run_id": run["id"],
        "flow_run_name": run["name"],
        "run_count": 1,
        "from_state_type": "RUNNING",
        "from_state_name": "Running",
        "to_state_type": "SCHEDULED",
        "to_state_name": "AwaitingRetry",
        "to_state_message": rows[2]["to_state_message"],
        "follows": rows[1]["id"],
        "flow_id": flow["id"],
        "flow_name": "refresh-marts",
        "tags": "[]",
    }
    assert "mart.customers is locked by another session" in rows[2]["to_state_message"]
    assert (rows[-1]["id"], rows[-1]["occurred"]) == (run["state_id"], run["state"]["timestamp"])


def test_every_materialization_and_every_edge_is_a_row(
    server: PrefectServer, events: list[dict[str, Any]], first_sync: Sync
) -> None:
    [run] = server.rows("flow_runs")
    raw = [event for event in events if event["event"] == "prefect.asset.materialization.succeeded"]
    task_runs = {row["id"]: row["name"] for row in server.rows("task_runs")}
    task_run = {event["id"]: _task_run(event) for event in raw}
    assert raw
    around = {
        event["id"]: {
            "occurred": event["occurred"],
            "received": event["received"],
            "result": "succeeded",
            "materialized_by": "dbt",
            "flow_run_id": run["id"],
            "flow_run_name": run["name"],
            "task_run_id": task_run[event["id"]],
            "task_run_name": task_runs[task_run[event["id"]]],
            "flow_id": run["flow_id"],
            "flow_name": "refresh-marts",
        }
        for event in raw
    }
    customers, orders = "postgres://prod/warehouse/mart/customers", "postgres://prod/warehouse/staging/orders"
    exports = "s3://shop-exports/customers.parquet"
    assert _sorted(first_sync.records["asset_materializations"]) == _sorted(
        {
            "id": event_id,
            **shared,
            "asset": customers,
            "asset_scheme": "postgres",
            "asset_table": "prod.warehouse.mart.customers",
            "asset_parts": '["prod","warehouse","mart","customers"]',
            "upstream_assets": text([orders, exports]),
            "metadata": "{}",
            "tags": "[]",
        }
        for event_id, shared in around.items()
    )
    edges = first_sync.records["asset_lineage"]
    assert len({edge["id"] for edge in edges}) == len(edges) == 2 * len(raw)
    edge = next(edge for edge in edges if edge["source"] == exports)
    assert edge == {
        "id": edge["id"],
        "materialization_id": edge["materialization_id"],
        **around[edge["materialization_id"]],
        "source": exports,
        "source_scheme": "s3",
        "source_table": "shop-exports.customers.parquet",
        "source_parts": '["shop-exports","customers.parquet"]',
        "destination": customers,
        "destination_scheme": "postgres",
        "destination_table": "prod.warehouse.mart.customers",
        "destination_parts": '["prod","warehouse","mart","customers"]',
    }


def test_prefixes_choose_the_events_and_nothing_new_costs_one_request(server: PrefectServer, first_sync: Sync) -> None:
    with proxy(server.url) as counted:
        config = {"connection": {"type": "server", "api_url": counted.url}, "event_prefixes": ["prefect.asset."]}
        state = [message for message in first_sync.state if message["stream"]["stream_descriptor"]["name"] == "events"]
        sync = read(config, ["events"], state).ok()
    assert {row["event"] for row in sync.records["events"]} == {
        "prefect.asset.materialization.succeeded",
        "prefect.asset.referenced",
    }
    assert [request.path for request in counted.log] == ["events/filter"]


@pytest.mark.parametrize("cursor_age", [None, timedelta(days=60)])
def test_prefect_cloud_is_asked_for_no_more_than_two_weeks_at_a_time(
    server: PrefectServer, cursor_age: timedelta | None
) -> None:
    ids = ["01234567-89ab-cdef-0123-456789abcdef", "89abcdef-0123-4567-89ab-cdef01234567"]
    connection = {"type": "cloud", "api_key": "pnu_0123456789abcdef", "account_id": ids[0], "workspace_id": ids[1]}
    cursor = f"{datetime.now(UTC) - (cursor_age or timedelta(0)):%FT%T.%fZ}"
    saved = {
        "stream_descriptor": {"name": "asset_lineage"},
        "stream_state": {"workspaces": {ids[1]: {"occurred": cursor}}},
    }
    with proxy(server.url, prefix=f"/api/accounts/{ids[0]}/workspaces/{ids[1]}") as counted:
        config = {"connection": {**connection, "api_url": f"{counted.origin}/api"}}
        read(config, ["asset_lineage"], [{"type": "STREAM", "stream": saved}] if cursor_age else None).ok()
    spans = [request.body["filter"]["occurred"] for request in counted.log]
    assert len(spans) == (9 if cursor_age else 26)
    newest = [span for span in spans if "until" not in span]
    lengths = [_time(span["until"]) - _time(span["since"]) for span in spans if "until" in span]
    assert len(newest) == 1
    assert datetime.now(UTC) - _time(newest[0]["since"]) < timedelta(days=14)
    assert max(lengths) < timedelta(days=14)


def test_a_server_is_asked_once_for_events_that_it_does_not_have(server: PrefectServer) -> None:
    with proxy(server.url) as counted:
        config = {"connection": {"type": "server", "api_url": counted.url}, "event_prefixes": ["shop."]}
        read(config, ["events"]).ok()
    assert len(counted.log) == 1


# What happens while it is read


def test_more_than_a_page_of_one_time_is_read_through_the_configured_address(server: PrefectServer) -> None:
    at = NOW - timedelta(hours=2)
    tied = insert_events(server.database, [at] * 120, event="shop.order.tied")
    others = insert_events(server.database, _times(NOW - timedelta(hours=3), 60, 0.001), event="shop.order.tied")
    later = insert_events(server.database, [at + timedelta(seconds=1)], event="shop.order.tied")
    with proxy(server.url) as counted:
        config = {"connection": {"type": "server", "api_url": counted.url}, "event_prefixes": ["shop.order.tied"]}
        ids = read(config, ["events"]).ok().ids("events")
    assert sorted(ids) == sorted([*tied, *others, *later])
    assert {request.path.partition("?")[0] for request in counted.log if request.method == "GET"} == {
        "events/filter/next"
    }


def test_events_that_retention_deletes_meanwhile_hide_no_others(server: PrefectServer) -> None:
    ids = insert_events(server.database, _times(NOW - timedelta(days=3), 400, 1.0), event="shop.order.old")

    def delete(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        found = answer.rows["events"]
        if found and found[-1]["id"] == ids[97]:
            _delete_events(server, ids[:80])
        return answer

    with proxy(server.url, delete) as counted:
        config = {"connection": {"type": "server", "api_url": counted.url}, "event_prefixes": ["shop.order.old"]}
        assert read(config, ["events"]).ok().ids("events") == ids


def test_what_arrives_late_comes_with_the_next_sync(server: PrefectServer, config: dict[str, Any]) -> None:
    cursor = NOW - timedelta(hours=6)
    late = insert_events(
        server.database, [cursor - timedelta(minutes=50)], event="shop.order.late", received=cursor + timedelta(hours=1)
    )
    known = [cursor - timedelta(minutes=40)]
    insert_events(server.database, known, event="shop.order.late")
    sync = read({**config, "event_prefixes": ["shop.order.late"]}, ["events"], _state("events", cursor)).ok()
    assert sync.ids("events") == late


def test_nothing_is_missed_of_events_that_come_during_a_scan(server: PrefectServer) -> None:
    _events_during_a_scan(server, 300, before=200)


@pytest.mark.slow
def test_nothing_is_missed_of_ten_thousand_events_that_come_during_a_scan(server: PrefectServer) -> None:
    _events_during_a_scan(server, 10_000, before=2_000)


def _events_during_a_scan(server: PrefectServer, count: int, before: int) -> None:
    """Some are new, some up to 50 minutes late, spread over what was read and what was not."""
    name = f"shop.order.busy{count}"
    now = datetime.now(UTC)
    ids = insert_events(server.database, _times(now - timedelta(minutes=50), before, 50 * 60 / before), event=name)
    inserted: list[str] = []

    def busy(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        found = answer.rows["events"]
        if not inserted and any(event["id"] == ids[before // 2] for event in found):
            received = datetime.now(UTC)
            times = _times(now - timedelta(minutes=50), count, 50 * 60 / count)
            inserted.extend(insert_events(server.database, times, event=name, received=received))
        return answer

    with proxy(server.url, busy) as counted:
        config = {"connection": {"type": "server", "api_url": counted.url}, "event_prefixes": [name]}
        first = read(config, ["events"]).ok()
        assert inserted
        second = read(config, ["events"], first.state).ok()
        print(f"{len(counted.log)} requests, {first.seconds:.0f} and {second.seconds:.0f} s")
    assert set(first.ids("events")) >= set(ids)
    assert len(set(first.ids("events"))) == len(first.ids("events"))
    assert set(first.ids("events")) | set(second.ids("events")) == {*ids, *inserted}


def test_a_sync_ends_although_more_events_come_than_it_reads(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "shop.order.flood"
    ids = insert_events(server.database, _times(datetime.now(UTC) - timedelta(minutes=9), 120, 1.0), event=name)

    def flood(request: Request, forward: Forward) -> Answer:
        if len(counted.log) < MANY:
            just_now = datetime.now(UTC) - timedelta(milliseconds=60)
            ids.extend(insert_events(server.database, _times(just_now, 60, 0.001), event=name))
        return forward(request)

    monkeypatch.setattr(feeds, "CLOCKS_APART", timedelta(0))
    with proxy(server.url, flood) as counted:
        config = {"connection": {"type": "server", "api_url": counted.url}, "event_prefixes": [name]}
        first = read(config, ["events"]).ok()
        assert len(counted.log) < MANY
        counted.behaviour = lambda request, forward: forward(request)
        monkeypatch.undo()
        second = read(config, ["events"], first.state).ok()
    assert set(first.ids("events")) >= set(ids[:120])
    assert set(first.ids("events")) | set(second.ids("events")) == set(ids)


def test_an_answer_without_its_events_is_no_empty_page(server: PrefectServer, events: list[dict[str, Any]]) -> None:
    answers: list[Any] = [{"detail": "busy"}, [], {"events": None, "total": 0, "next_page": None}]

    def strange(request: Request, forward: Forward) -> Answer:
        return Answer.of(answers.pop()) if answers and request.path != TIME else forward(request)

    with proxy(server.url, strange) as counted, recorded_waits() as waits:
        config = {"connection": {"type": "server", "api_url": counted.url}, "event_prefixes": ["prefect.", "devtools."]}
        state = _state("events", _time(events[-1]["occurred"]))
        assert set(read(config, ["events"], state).ok().ids("events")) >= {event["id"] for event in events}
    assert answers == []
    assert waits.retries == [1, 2, 4]


def test_a_cursor_older_than_what_the_server_keeps_is_worth_a_warning(config: dict[str, Any]) -> None:
    sync = read(config, ["asset_lineage"], _state("asset_lineage", NOW - timedelta(days=9))).ok()
    assert (
        [line for line in sync.logs if "9 days ago" in line]
        == [line for line in sync.logs if line.startswith("asset_lineage: read so far up to")]
        != []
    )


def _transition(run: str, before: str, after: str, occurred: datetime) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "event": f"prefect.flow-run.{after.title()}",
        "occurred": occurred.isoformat(),
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        "payload": {
            "initial_state": {"type": before, "name": before.title()},
            "validated_state": {"type": after, "name": after.title()},
        },
    }


def _times(begin: datetime, count: int, seconds: float) -> Iterable[datetime]:
    return [begin + timedelta(seconds=n * seconds) for n in range(count)]


def _delete_events(server: PrefectServer, ids: list[str]) -> None:
    with closing(sqlite3.connect(server.database, timeout=60)) as connection, connection:
        connection.executemany("DELETE FROM events WHERE id = ?", [(event_id,) for event_id in ids])


def _task_run(event: dict[str, Any]) -> str:
    [task_run] = [r for r in event["related"] if r["prefect.resource.role"] == "task-run"]
    return str(task_run["prefect.resource.id"]).removeprefix("prefect.task-run.")


def _sorted(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str(row["id"]))


def _state(stream: str, cursor: datetime) -> State:
    state = {"occurred": cursor.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    return [{"stream": {"stream_descriptor": {"name": stream}, "stream_state": state}}]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
