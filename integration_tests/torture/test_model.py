"""The model: whatever happens on the server, the destination says the same after each sync."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from devtools.connector import read_here
from devtools.servers.faults import FAULTS, RandomFaults
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import proxy
from integration_tests.torture.destination import Destination, Row, differences, snapshot
from integration_tests.torture.effort import FACTOR, report, seeds
from integration_tests.torture.world import World
from source_prefect.times import latest, parse_time

pytestmark = pytest.mark.usefixtures("sharp")

# Where there is time, a world becomes four times as old.
SYNCS = 10 if FACTOR == 1 else 40
MOST_TRIES = 5
FAST_FAULTS = {name: fault for name, fault in FAULTS.items() if name not in ("stall", "late")}
LOOKBACK = timedelta(seconds=5)


def edited_late(stream: str, raw: Row) -> bool:
    """The documented exception: a finished run, edited after its end by more than the lookback."""
    ended, updated = parse_time(raw.get("end_time")), parse_time(raw.get("updated"))
    return bool(stream.endswith("_runs") and ended and updated and updated > ended + LOOKBACK)


@pytest.mark.parametrize("seed", seeds(max(1, FACTOR // 4)))
def test_after_each_sync_the_destination_equals_the_server(server: PrefectServer, seed: int) -> None:
    world = World(server, seed)
    destination = Destination()
    config: dict[str, Any] = {
        "connection": {"type": "server"},
        "lookback_window": f"PT{LOOKBACK.seconds}S",
        "page_size": 7,
    }
    for sync in range(SYNCS):
        world.change(30)
        before = snapshot(server)
        with proxy(server.url, RandomFaults(seed, 0.05, FAST_FAULTS)) as between:
            config["connection"]["api_url"] = between.url
            for _ in range(MOST_TRIES):
                done = read_here(config, state=destination.state)
                destination.load(done)
                if done.exit_code == 0:
                    break
            # Too many faults in a row fail a stream: the next sync makes it whole.
            done.ok()
        assert differences(destination, before, snapshot(server), edited_late) == [], f"sync {sync}"
    report(f"model, seed {seed}: {SYNCS} syncs, {sum(world.done.values())} operations {dict(world.done)}")


def test_a_deleted_schedule_is_noticed_though_no_time_tells_of_it(server: PrefectServer) -> None:
    """Prefect moves the `updated` of neither the deployment nor its other schedules."""
    config = {"connection": {"type": "server", "api_url": server.url}}
    flow = server.post("flows/", {"name": "scheduled"})["id"]
    schedules = [{"active": True, "schedule": {"interval": days * 86400}} for days in (40, 50)]
    changed = server.post("deployments/", {"name": "changed", "flow_id": flow, "schedules": schedules})["id"]
    first = read_here(config, ["deployments"]).ok()
    before = first.by_id("deployments")[changed]
    kept, deleted = json.loads(before["schedules"])
    threading.Event().wait(1.1)  # `Date`, by which the deletion is dated, has no fraction

    server.delete(f"deployments/{changed}/schedules/{deleted['id']}")
    row = read_here(config, ["deployments"], first.state).ok().by_id("deployments")[changed]
    assert json.loads(row["schedules"]) == [kept]
    updated = [each["updated"] for each in (before, row)]
    assert updated[0] != updated[1] == latest(updated), "a destination would keep the older row"
