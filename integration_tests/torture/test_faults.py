"""Whatever the network makes of the answers: the same rows, or a clear error and nothing lost."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import Sync, read_here
from devtools.data.bulk import history, insert_flow_runs
from devtools.servers.faults import FAULTS, Fault, RandomFaults, impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on, proxy
from integration_tests.torture.destination import STREAMS, Destination, differences, snapshot
from integration_tests.torture.effort import FACTOR, report, seeds
from integration_tests.torture.world import World

PAGE_SIZE = 3

# Each takes some seconds; a long run tries them all.
PERSISTENT = sorted(set(FAULTS) - {"late"}) if FACTOR > 1 else ["503", "object"]


@pytest.fixture(scope="module")
def world(server: PrefectServer) -> World:
    """A server with rows of every kind, and runs of many weeks."""
    world = World(server, 1)
    world.change(150)
    flow = server.post("flows/", {"name": "nightly"})["id"]
    insert_flow_runs(server.database, flow, history(150, until=datetime.now(UTC), every=timedelta(days=1)))
    return world


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    with impatient():
        yield


@pytest.fixture
def between(server: PrefectServer, world: World) -> Iterator[Proxy]:  # noqa: ARG001  (the rows must be there)
    with proxy(server.url) as running:
        yield running


def config_of(running: Proxy) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": running.url}, "page_size": PAGE_SIZE}


def rows_of(sync: Sync) -> dict[str, list[str]]:
    """Every row as text, duplicates included, but for what the server computes for each answer."""
    return {
        stream: sorted(
            json.dumps({k: v for k, v in row.items() if not k.startswith("estimated_")}, sort_keys=True)
            for row in sync.records[stream]
        )
        for stream in STREAMS
    }


@pytest.mark.parametrize("seed", seeds(FACTOR))
def test_with_one_answer_in_five_spoilt_a_sync_reads_exactly_the_rows_of_a_clean_one(between: Proxy, seed: int) -> None:
    clean = read_here(config_of(between)).ok()
    faults = RandomFaults(seed)
    between.behaviour = faults
    spoilt = read_here(config_of(between)).ok()
    assert rows_of(spoilt) == rows_of(clean)
    assert sum(faults.seen.values()) > 20, "too few faults for a test"
    report(f"faults, seed {seed}: {len(between.log)} requests, {sum(faults.seen.values())} faults {dict(faults.seen)}")


@pytest.mark.parametrize("name", PERSISTENT)
def test_a_fault_that_persists_fails_its_stream_alone_and_the_next_sync_makes_it_whole(
    server: PrefectServer, between: Proxy, world: World, name: str
) -> None:
    destination = Destination()
    destination.load(read_here(config_of(between)).ok())
    world.change(5)
    cursor = {message["stream"]["stream_descriptor"]["name"]: message for message in destination.state or []}

    between.behaviour = from_the_second_page(FAULTS[name])
    asked = len(between.requests("flow_runs/filter"))
    broken = read_here(config_of(between), state=destination.state)
    assert broken.exit_code == 1
    assert {stream: statuses[-1] for stream, statuses in broken.statuses.items()} == {
        stream: "INCOMPLETE" if stream == "flow_runs" else "COMPLETE" for stream in broken.statuses
    }
    assert broken.statuses.keys() >= set(STREAMS)
    assert broken.cursor("flow_runs") == cursor["flow_runs"]["stream"]["stream_state"]["updated"]
    error = broken.errors[0]
    assert error["stream_descriptor"]["name"] == "flow_runs"
    assert error["failure_type"] in ("transient_error", "config_error")
    assert error["message"].startswith("Gave up after several tries. ")
    assert between.origin.removeprefix("http://") in error["message"] or name == "cut short"
    assert "Exception" not in error["message"]

    # Four windows at once have tried six times each; the others have not tried.
    assert len(between.requests("flow_runs/filter")) - asked < 30

    destination.load(broken)
    between.behaviour = pass_on
    before = snapshot(server)
    destination.load(read_here(config_of(between), state=destination.state).ok())
    assert differences(destination, before, snapshot(server)) == []


def from_the_second_page(fault: Fault) -> Behaviour:
    """Spoil every page of flow runs but a sync's first."""
    seen: list[Request] = []

    def behave(request: Request, forward: Forward) -> Answer:
        if request.path == "flow_runs/filter":
            seen.append(request)
        answer = forward(request)
        return fault(answer) if request.path == "flow_runs/filter" and len(seen) > 1 else answer

    return behave
