"""How long a sync waits for a 429, maintenance, failures, its own limit; by a monotonic clock."""

import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from devtools.connector import Sync, read, read_here
from devtools.data.bulk import history, insert_flow_runs, insert_logs, insert_task_runs
from devtools.data.seeding import make_flow
from devtools.servers.cloud import Cloud, Workspace, cloud
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on
from integration_tests.internals import WITH_A_CLOCK_THAT_IS_SET_BACK, longest_maintenance

NOW = datetime.now(UTC)
ROWS, PAGE_SIZE = 60, 5
STREAMS = ["flow_runs", "task_runs", "logs", "flows", "variables"]


@pytest.fixture(scope="module", autouse=True)
def _rows(server: PrefectServer) -> None:
    flows = [make_flow(server, f"flow-{number}") for number in range(8)]
    runs = insert_flow_runs(server.database, flows[0], history(ROWS, until=NOW, every=timedelta(hours=1)))
    insert_task_runs(server.database, runs[0], history(ROWS, until=NOW, every=timedelta(hours=1)))
    insert_logs(server.database, [NOW - timedelta(hours=hours) for hours in range(ROWS)])
    server.post("variables/", {"name": "batch_size", "value": 500})


@pytest.fixture
def config(gate: Proxy) -> dict[str, Any]:
    gate.behaviour = pass_on
    gate.log.clear()
    return {"connection": {"type": "server", "api_url": gate.url}, "page_size": PAGE_SIZE}


@pytest.fixture(scope="module")
def whole(server: PrefectServer) -> Sync:
    return read_here({"connection": {"type": "server", "api_url": server.url}}, STREAMS).ok()


def assert_all_rows(sync: Sync, whole: Sync, *streams: str) -> None:
    for stream in streams or STREAMS:
        assert sorted(sync.ids(stream)) == sorted(whole.ids(stream)), stream


TOO_MANY = Answer(429, b"{}", {"Content-Type": "application/json", "Retry-After": "1"})
UNAVAILABLE = Answer(503, b"{}", TOO_MANY.headers)
MAINTENANCE = Answer(503, b"{}", TOO_MANY.headers | {"Prefect-Maintenance": "true"})


# Who waits


@pytest.mark.parametrize("answer", [TOO_MANY, MAINTENANCE], ids=["429", "maintenance"])
@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_is_sent_while_prefect_asks_to_wait(
    config: dict[str, Any], gate: Proxy, whole: Sync, answer: Answer, workers: int
) -> None:
    """Not by a thread either that was about to send one: each worker is busy when the answer
    comes, the others wait.

    A 429 is about the account, a maintenance about what was asked for: the other streams go on.
    """
    numbers, arrivals, refused_at = itertools.count(), list[tuple[float, str]](), list[tuple[float, str]]()
    all_busy = threading.Event()
    last = 3 + workers

    def behave(request: Request, forward: Forward) -> Answer:
        number = next(numbers)
        arrivals.append((time.monotonic(), request.path))
        if number == 4:
            assert workers == 1 or all_busy.wait(10)
            # The other threads come to the point where they wait for this one.
            time.sleep(0.3)
            refused_at.append((time.monotonic(), request.path))
            return answer
        if number == last:
            all_busy.set()
            # Its thread goes on within the wait.
            time.sleep(0.7)
        return forward(request)

    gate.behaviour = behave
    assert_all_rows(read_here(config | {"num_workers": workers}, STREAMS).ok(), whole)
    [(began, refused)] = refused_at
    paused = [path for at, path in arrivals if began < at < began + 0.95 and (answer == TOO_MANY or path == refused)]
    assert paused == []


# Tries and waits


@pytest.mark.parametrize("answer", [TOO_MANY, MAINTENANCE, UNAVAILABLE], ids=["429", "maintenance", "503"])
@pytest.mark.parametrize("failures", [2, 4])
def test_a_long_wait_is_none_of_the_six_tries(
    config: dict[str, Any], gate: Proxy, whole: Sync, answer: Answer, failures: int
) -> None:
    answered = itertools.count()
    with time_machine.travel(datetime.now(UTC), tick=True) as clock, impatient():

        def behave(request: Request, forward: Forward) -> Answer:
            if request.path != "variables/filter" or (number := next(answered)) > failures:
                return forward(request)
            if number:
                return Answer(500, b"{}")
            # The wait is of ten minutes on every clock but the monotonic one.
            clock.shift(timedelta(minutes=10, seconds=1))
            return answer

        gate.behaviour = behave
        sync = read_here(config, ["variables"]).ok()
    assert_all_rows(sync, whole, "variables")


# A maintenance of a part


def under_maintenance(front: Cloud, part: str, times: int = 1_000_000) -> Behaviour:
    """Cloud, of which a part, by its path, is under maintenance for so many requests."""
    left = itertools.count(times, -1)

    def behave(request: Request, forward: Forward) -> Answer:
        if request.path.startswith(part) and next(left) > 0:
            return Answer(503, b"{}", MAINTENANCE.headers | {"Retry-After": "0.2"})
        return front(request, forward)

    return behave


@pytest.fixture
def front(server: PrefectServer) -> Iterator[Cloud]:
    with cloud([Workspace(server.url, "Production"), Workspace(server.url, "Staging")]) as running:
        yield running


def of(front: Cloud, which: str) -> dict[str, Any]:
    both: dict[str, Any] = {"account_id": "", "workspace_id": "", "workspaces": ["all"]}
    connection = front.connection(**(both if which == "both workspaces" else {}))
    return {"connection": connection, "page_size": PAGE_SIZE}


@pytest.mark.parametrize("which", ["one workspace", "both workspaces"])
def test_a_maintenance_of_one_endpoint_fails_its_stream_after_its_limit(front: Cloud, whole: Sync, which: str) -> None:
    front.proxy.behaviour = under_maintenance(front, f"{front.workspaces[0].path}/variables/filter")
    sync = timed(of(front, which), ["variables", "flow_runs", "task_runs", "logs"])
    assert sync.exit_code == 1
    assert sync.statuses["variables"][-1] == "INCOMPLETE"
    assert "under maintenance" in sync.errors[0]["message"]
    for stream in ("flow_runs", "task_runs", "logs"):
        assert sync.statuses[stream][-1] == "COMPLETE"
        assert set(sync.ids(stream)) == set(whole.ids(stream))


def test_a_maintenance_of_one_workspace_fails_its_streams_after_their_limit(front: Cloud, whole: Sync) -> None:
    good, bad = front.workspaces
    front.proxy.behaviour = under_maintenance(front, bad.path)
    streams = ["variables", "flow_runs", "logs"]
    sync = timed(of(front, "both workspaces"), streams)
    assert sync.exit_code == 1
    for stream in streams:
        rows = [row for row in sync.records[stream] if row["workspace_id"] == good.workspace_id]
        assert sorted(row["id"] for row in rows) == sorted(whole.ids(stream))
        assert any(bad.name in e["message"] and "under maintenance" in e["message"] for e in sync.errors)


def test_a_maintenance_of_a_part_that_ends_in_time_costs_no_row(front: Cloud, whole: Sync) -> None:
    front.proxy.behaviour = under_maintenance(front, f"{front.workspaces[0].path}/variables/filter", times=4)
    sync = timed(of(front, "one workspace"), STREAMS).ok()
    assert_all_rows(sync, whole)


def timed(config: dict[str, Any], streams: list[str]) -> Sync:
    """A sync that waits at most two seconds for the end of a maintenance, and says little."""
    with longest_maintenance(2.0), impatient():
        sync = read_here(config, streams)
    # What is not under maintenance is read at its own pace meanwhile: a hundred requests.
    assert sync.seconds < 10
    assert len([line for line in sync.logs if "maintenance" in line and "Exception" not in line]) <= 2 * len(streams)
    return sync


# The connector's own limit


def test_a_clock_that_is_set_back_stops_no_sync(config: dict[str, Any], gate: Proxy, whole: Sync) -> None:
    processes: list[subprocess.Popen[bytes]] = []

    def behave(request: Request, forward: Forward) -> Answer:
        if request.number == 6:
            os.kill(processes[0].pid, signal.SIGUSR1)
        return forward(request)

    gate.behaviour = behave
    limited = config | {"max_requests_per_minute": 10}
    command = WITH_A_CLOCK_THAT_IS_SET_BACK
    sync = read(limited, ["flow_runs"], command=command, started=processes.append, timeout=60).ok()
    assert len(gate.log) > limited["max_requests_per_minute"]
    assert_all_rows(sync, whole, "flow_runs")


# Headers that Prefect does not send

HEADERS: list[dict[str, str]] = [
    {"RateLimit-Remaining": "0"},
    {"RateLimit-Remaining": "none"},
    {"RateLimit-Reset": "Wed, 21 Oct 2026 07:28:00 GMT"},
    {"RateLimit-Reset": "1795858546655"},
    {"RateLimit-Reset": "100;w=60"},
    {"RateLimit-Limit": "1", "RateLimit-Remaining": "0", "RateLimit-Reset": "3600"},
    {"RateLimit": '"default";r=0;t=3600', "RateLimit-Policy": '"default";q=1;w=3600'},
    {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "soon"},
]


@pytest.mark.parametrize("more", [{}, {"max_requests_per_minute": 5_000}], ids=["no limit", "a limit"])
def test_headers_of_a_proxy_about_its_limits_are_ignored(
    config: dict[str, Any], gate: Proxy, whole: Sync, more: dict[str, Any]
) -> None:
    kinds = itertools.cycle(HEADERS)

    def behave(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        answer.headers |= next(kinds)
        return answer

    gate.behaviour = behave
    assert_all_rows(read(config | more, STREAMS, timeout=60).ok(), whole)
