"""The process is killed at any moment and restarted from its last state: nothing is lost."""

import random
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import read, read_here
from devtools.data.bulk import Run, history, insert_flow_runs
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Request, proxy
from integration_tests.torture.destination import Destination, differences, snapshot
from integration_tests.torture.effort import FACTOR, report, seeds
from integration_tests.torture.world import World

KILLS = 5 if FACTOR == 1 else 12
NOW = datetime.now(UTC)


class Killer:
    """Kills the process with its n-th request."""

    def __init__(self, number: int) -> None:
        self._left = number
        self._process: subprocess.Popen[bytes] | None = None
        self.struck = False

    def aim(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def __call__(self, request: Request, forward: Forward) -> Answer:
        self._left -= 1
        if self._left == 0 and self._process:
            self._process.kill()
            self.struck = True
        return forward(request)


def old_runs() -> list[Run]:
    """Runs of half a year; some were edited late, and some cancelled long before they were due."""
    runs = list(history(300, until=NOW - timedelta(minutes=10), every=timedelta(hours=14)))
    edited = [run._replace(updated=NOW - timedelta(minutes=n)) for n, run in enumerate(runs[100:110], 1)]
    cancelled = [
        Run(NOW - timedelta(days=n), NOW - timedelta(days=n + 40), NOW - timedelta(days=n + 40), "CANCELLED")
        for n in range(0, 60, 4)
    ]
    unfinished = [Run(NOW - timedelta(days=n), None, state="RUNNING") for n in range(0, 90, 9)]
    return runs[:100] + edited + runs[110:] + cancelled + unfinished


@pytest.mark.parametrize("seed", seeds(FACTOR))
def test_a_sync_that_is_killed_again_and_again_ends_up_whole(server: PrefectServer, seed: int) -> None:
    chance = random.Random(seed)
    world = World(server, seed)
    world.change(60)
    flow = server.post("flows/", {"name": f"killed-{seed}"})["id"]
    insert_flow_runs(server.database, flow, old_runs())
    destination = Destination()
    kills = 0
    # A first sync, broken off a few times; then later ones, with changes in between.
    for sync in range(KILLS):
        killer = Killer(chance.randrange(5, 60 if sync < KILLS // 2 else 25))
        if sync >= KILLS // 2:
            world.change(15)
        with proxy(server.url, killer) as between:
            destination.load(read(config(between.url), state=destination.state, started=killer.aim))
        kills += killer.struck
    before = snapshot(server)
    destination.load(read_here(config(server.url), state=destination.state).ok())
    assert differences(destination, before, snapshot(server)) == []
    assert kills >= 3, "too few kills for a test"
    report(f"crashes, seed {seed}: {KILLS + 1} syncs, {kills} kills")


def config(url: str) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": url}, "page_size": 5, "num_workers": 4}
