"""The same rows from every Prefect. `make test-versions` runs this on a server of each version."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from devtools.connector import read_here
from devtools.data.seeding import STATE_TYPES, make_deployment, make_flow, make_run, make_task_run, set_state
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request, proxy
from integration_tests.connecting import check
from integration_tests.connecting import config as config_of
from integration_tests.record_rules import STREAMS, as_time, comparable, expected_row

Rows = dict[str, dict[str, dict[str, Any]]]

ORDERS = "shop.public.orders"

# No run has ended by then.
NEVER = {"end_time": {"before_": "1970-01-01T00:00:00Z"}}


@pytest.fixture(scope="module")
def seeded(server: PrefectServer) -> PrefectServer:
    """Rows of every kind, by REST, because a client runs no flows on another version's server."""
    flow_ids = [make_flow(server, f"flow-{n}", tags=["Ünïcode 🚀", f"om-source:{ORDERS}"]) for n in range(7)]
    for n in range(7):
        make_deployment(server, flow_ids[0], f"nightly-{n}", cron="0 2 * * *" if n else None)
    paused = make_deployment(server, flow_ids[1], "paused")
    server.post(f"deployments/{paused}/pause_deployment")
    parent = make_run(server, flow_ids[0], "RUNNING", name="parent")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for state in STATE_TYPES:
        make_run(server, flow_ids[0], state, name=state, parameters={"nested": [[{"größe": None}]]})
        make_run(server, flow_ids[0], state, name=f"{state} of tomorrow", due=tomorrow)
        make_task_run(server, parent, state, state)
    for n, value in enumerate([1, 1.5, "1", True, {"a": [1]}, [1, "b"], None]):
        server.post("variables/", {"name": f"variable_{n}", "value": value})
        server.post("artifacts/", {"key": f"artifact-{n}", "type": "table", "data": value, "flow_run_id": parent})
    return server


@pytest.fixture
def front(seeded: PrefectServer) -> Iterator[Proxy]:
    with proxy(seeded.url) as served:
        yield served


def rows_of_api(server: PrefectServer, ui: str) -> Rows:
    return {
        stream: {row["id"]: comparable(expected_row(stream, row, ui)) for row in server.rows(stream)}
        for stream in STREAMS
    }


def test_the_connection_is_good(front: Proxy) -> None:
    assert check(config_of(front)) == ""


@pytest.mark.parametrize("page_size", [3, 200])
def test_a_first_sync_brings_whole_rows(seeded: PrefectServer, front: Proxy, page_size: int) -> None:
    sync = read_here({**config_of(front), "page_size": page_size}).ok()
    expected = rows_of_api(seeded, front.origin)
    for stream in STREAMS:
        assert {row_id: comparable(row) for row_id, row in sync.by_id(stream).items()} == expected[stream]
        assert len(sync.ids(stream)) == len(expected[stream]), "a row came twice"
        assert len(expected[stream]) > 6


def test_lineage_comes_from_the_tags(front: Proxy) -> None:
    """Deployments have their flow's edges; a flow without deployments has its own."""
    rows = read_here(config_of(front), ["lineage"]).ok().records["lineage"]
    edges = [(row["flow_name"], row.get("deployment_name"), row["source"], row.get("destination")) for row in rows]
    nightly = [("flow-0", f"nightly-{n}", ORDERS, None) for n in range(7)]
    without_deployment = [(f"flow-{n}", None, ORDERS, None) for n in range(2, 7)]
    assert Counter(edges) == Counter([*nightly, ("flow-1", "paused", ORDERS, None), *without_deployment])


@pytest.mark.parametrize("table", ["flow_runs", "task_runs"])
def test_the_price_of_a_page_is_constant(front: Proxy, table: str) -> None:
    """Runs are bounded by time; only those of the same time are stepped over by an offset."""
    read_here({**config_of(front), "page_size": 3}, [table]).ok()
    pages = [body for r in front.requests(f"{table}/filter") if (body := r.body)["sort"] == "EXPECTED_START_TIME_DESC"]
    assert len(pages) > 3
    assert not any(body.get("offset") for body in pages)


@pytest.mark.parametrize("table", ["flow_runs", "task_runs"])
def test_one_request_finds_out_what_the_server_can_filter(seeded: PrefectServer, front: Proxy, table: str) -> None:
    knows_filter = requests.post(f"{seeded.url}/{table}/filter", json={table: NEVER}, timeout=60).ok
    answers: list[int] = []

    def note(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        answers.append(answer.status)
        return answer

    front.behaviour = note
    first = read_here(config_of(front), [table]).ok()
    later = read_here(config_of(front), [table], state=first.state).ok()
    assert answers.count(422) == (0 if knows_filter else 1), "once a later sync"
    assert any("the runs are read without it" in line for line in later.logs) is not knows_filter


@pytest.mark.parametrize("page_size", [3, 200])
def test_later_syncs_bring_runs_that_finished_were_retried_or_edited(
    seeded: PrefectServer, front: Proxy, page_size: int
) -> None:
    config = {**config_of(front), "page_size": page_size}
    first = read_here(config).ok()
    warehouse = {stream: first.by_id(stream) for stream in STREAMS}
    changed: dict[str, dict[str, str]] = {}
    for table in ("flow_runs", "task_runs"):
        by_state = {row["state_type"]: row["id"] for row in seeded.rows(table)}
        set_state(seeded, table, by_state["RUNNING"], "COMPLETED")
        set_state(seeded, table, by_state["FAILED"], "SCHEDULED", name="AwaitingRetry")
        set_state(seeded, table, by_state["CRASHED"], "COMPLETED")
        set_state(seeded, table, by_state["SCHEDULED"], "CANCELLED")
        changed[table] = by_state
    seeded.patch(f"flow_runs/{changed['flow_runs']['COMPLETED']}", {"name": "renamed after its end"})

    later = read_here(config, state=first.state).ok()
    for stream in STREAMS:
        warehouse[stream].update(later.by_id(stream))
        assert len(later.ids(stream)) == len(set(later.ids(stream))), "a row came twice"
    expected = rows_of_api(seeded, front.origin)
    for stream in STREAMS:
        assert {row_id: comparable(row) for row_id, row in warehouse[stream].items()} == expected[stream]
    for table, by_state in changed.items():
        touched = {by_state[state] for state in ("RUNNING", "FAILED", "CRASHED", "SCHEDULED")}
        assert touched <= set(later.ids(table))
        assert as_time(later.cursor(table) or "") >= as_time(first.cursor(table) or "")

    # As they were, for the next page size.
    for table, by_state in changed.items():
        for state in ("RUNNING", "FAILED", "CRASHED", "SCHEDULED"):
            set_state(seeded, table, by_state[state], state)


def test_each_deletion_is_told_once_whether_or_not_this_version_sends_an_event(
    seeded: PrefectServer, front: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Less than no time: the server's clock is known from whole seconds.
    monkeypatch.setattr("source_prefect.progress.seen.LATEST_EVENT", timedelta(minutes=-1))
    flow = make_flow(seeded, "doomed")
    deleted = {
        ("deployment", make_deployment(seeded, flow, "doomed")),
        ("deployment", make_deployment(seeded, flow, "doomed with its flow")),
        ("work-pool", seeded.post("work_pools/", {"name": "doomed", "type": "process"})["id"]),
        ("concurrency-limit", seeded.post("v2/concurrency_limits/", {"name": "doomed", "limit": 1})["id"]),
    }
    syncs = [read_here(config_of(front), ["change_log"]).ok()]
    deployment = next(row["id"] for row in seeded.rows("deployments") if row["name"] == "doomed")
    for path in (f"deployments/{deployment}", f"flows/{flow}", "work_pools/doomed", "v2/concurrency_limits/doomed"):
        seeded.delete(path)
    seeded.wait_for_events()
    for _ in range(3):
        syncs.append(read_here(config_of(front), ["change_log"], state=syncs[-1].state).ok())
    # By id: the last quarter of an hour of the events comes again.
    rows = {row["id"]: row for sync in syncs for row in sync.records["change_log"] if row["action"] == "deleted"}
    told = [(row["object_type"], row["object_id"], row["known_from"]) for row in rows.values()]
    print("known from:", sorted({(kind, source) for kind, _, source in told}))
    of_compared = [(kind, key) for kind, key, _ in told if kind in {kind for kind, _ in deleted}]
    assert set(of_compared) == deleted
    # A server that met a locked database sends an event again.
    absences = [(kind, key) for kind, key, source in told if source == "absence"]
    assert not set(absences) & {(kind, key) for kind, key, source in told if source == "event"}
    assert len(absences) == len(set(absences))
