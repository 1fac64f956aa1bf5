"""The connector's clock and the server's differ: no row is lost and no stream ends early."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from devtools.connector import read_here
from devtools.data.bulk import history, insert_flow_runs
from devtools.servers.prefect import PrefectServer
from integration_tests.torture.destination import Destination, differences, snapshot
from integration_tests.torture.effort import FACTOR
from integration_tests.torture.world import World

pytestmark = pytest.mark.usefixtures("sharp")

MINUTES, DAY, WEEKS = timedelta(minutes=10), timedelta(days=1), timedelta(days=20)


@pytest.mark.parametrize("ahead", [-DAY, -MINUTES, MINUTES, DAY, *([-WEEKS, WEEKS] if FACTOR > 1 else [])], ids=str)
def test_a_clock_that_is_wrong_changes_nothing(server: PrefectServer, ahead: timedelta) -> None:
    now = datetime.now(UTC)
    world = World(server, ahead // MINUTES)
    world.change(40)
    flow = server.post("flows/", {"name": f"clock-{ahead}"})["id"]
    insert_flow_runs(server.database, flow, history(20, until=now, every=timedelta(days=2)))
    destination = Destination()
    for _ in range(2 + FACTOR):
        before = snapshot(server)
        with time_machine.travel(datetime.now(UTC) + ahead, tick=True):
            destination.load(read_here(config(server), state=destination.state).ok())
        assert differences(destination, before, snapshot(server)) == []
        world.change(15)


def test_a_clock_that_is_set_right_between_two_syncs_changes_nothing(server: PrefectServer) -> None:
    world = World(server, 77)
    destination = Destination()
    for ahead in (DAY, timedelta(0), -DAY, MINUTES, -MINUTES):
        world.change(20)
        before = snapshot(server)
        with time_machine.travel(datetime.now(UTC) + ahead, tick=True):
            destination.load(read_here(config(server), state=destination.state).ok())
        assert differences(destination, before, snapshot(server)) == []


def test_a_clock_that_is_weeks_behind_changes_nothing(server: PrefectServer) -> None:
    World(server, 78).change(30)
    destination = Destination()
    before = snapshot(server)
    with time_machine.travel(datetime.now(UTC) - timedelta(days=40), tick=True):
        destination.load(read_here(config(server)).ok())
        destination.load(read_here(config(server), state=destination.state).ok())
    assert differences(destination, before, snapshot(server)) == []


def config(server: PrefectServer) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": server.url}, "page_size": 20}
