"""Rows come, go and change between pages of a scan: none that exists throughout is missed."""

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import read_here
from devtools.data.bulk import history, insert_flow_runs
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Request, proxy
from integration_tests.torture.destination import STREAMS, Destination, differences, snapshot
from integration_tests.torture.effort import FACTOR, report, seeds
from integration_tests.torture.world import World

SYNCS = 3 if FACTOR == 1 else 10
# Changes before the first sync: what there is to read.
CHANGES = 60 if FACTOR == 1 else 200
# Of a request to come after changes.
CHANCE = 0.5
TABLES = [f"{stream}/filter" for stream in STREAMS]


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    with impatient():
        yield


class Meddler:
    """Changes the server before it lets a request for a page of a table through, now and then.

    Not before one for a page of events: each change makes events, so such a scan would grow as
    fast as it is read.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.changes = 0

    def __call__(self, request: Request, forward: Forward) -> Answer:
        with self._lock:
            if request.path in TABLES and self._random.random() < CHANCE:
                count = self._random.randrange(1, 4)
                self._world.change(count)
                self.changes += count
            return forward(request)


@pytest.mark.parametrize("seed", seeds(max(1, FACTOR // 3)))
def test_what_changes_during_a_scan_is_read_then_or_by_the_next_sync(server: PrefectServer, seed: int) -> None:
    server.clear()
    world = World(server, seed)
    world.change(CHANGES)
    flow = server.post("flows/", {"name": f"weekly-{seed}"})["id"]
    insert_flow_runs(server.database, flow, history(40, until=datetime.now(UTC), every=timedelta(days=3)))
    meddler = Meddler(world, seed)
    destination = Destination()
    for _ in range(SYNCS):
        before = snapshot(server)
        with proxy(server.url, meddler) as between:
            sync = read_here(config(between.url), state=destination.state).ok()
        after = snapshot(server)
        destination.load(sync)
        # What nobody touched is there, whether this sync brought it or one before.
        assert differences(destination, before, after) == []
        assert_read_once(sync.records, before, after)
        # What was touched is there when the server has come to rest.
        destination.load(read_here(config(server.url), state=destination.state).ok())
        assert differences(destination, after, snapshot(server)) == []
    assert meddler.changes > 20, "too few changes for a test"
    report(f"races, seed {seed}: {2 * SYNCS} syncs, {meddler.changes} changes between two pages of a scan")


def assert_read_once(records: dict[str, list[dict[str, Any]]], before: Any, after: Any) -> None:
    for stream in STREAMS:
        ids = [row["id"] for row in records[stream]]
        untouched = {id_ for id_, row in after[stream].items() if before[stream].get(id_) == row}
        twice = [id_ for id_ in untouched if ids.count(id_) > 1]
        assert twice == [], f"{stream}: read twice"


def config(url: str) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": url}, "page_size": 4, "num_workers": 4}
