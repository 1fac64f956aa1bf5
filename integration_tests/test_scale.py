"""A long history: each run once, pages at a constant price, little memory; then nothing new."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from devtools.connector import read, read_here
from devtools.data.bulk import Run, history, insert_flow_runs
from devtools.data.seeding import make_flow
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import proxy

PAGE = 200
UNFINISHED = 305


@pytest.mark.parametrize(
    ("count", "most_requests"),
    # A page for each 199 rows, and a small request for each window.
    [(20_005, 150), pytest.param(200_005, 1_110, marks=pytest.mark.slow)],
)
def test_a_long_history(count: int, most_requests: int, server: PrefectServer) -> None:
    server.clear()
    flow_id = make_flow(server)
    now = datetime.now(UTC)
    every = timedelta(seconds=100)
    ids = insert_flow_runs(
        server.database, flow_id, history(count - UNFINISHED, until=now - timedelta(minutes=20), every=every)
    )
    ahead = [Run(now + timedelta(hours=n), None, now - timedelta(hours=1), "SCHEDULED") for n in range(UNFINISHED)]
    ids += insert_flow_runs(server.database, flow_id, ahead)
    # What brings the cursor to the present.
    insert_flow_runs(server.database, flow_id, [Run(now, now)])
    with proxy(server.url) as gate:
        config = {"connection": {"type": "server", "api_url": gate.url}}
        first = read(config, ["flow_runs"], sync_mode="full_refresh").ok()
        requests = len(gate.log)
        emitted = first.ids("flow_runs")
        print(
            f"{len(emitted)} rows in {requests} requests, {first.seconds:.0f} s, "
            f"at most {first.peak_memory / 2**20:.0f} MB"
        )
        assert len(emitted) == len(set(emitted)) == count + 1
        assert set(ids) <= set(emitted)
        assert requests <= most_requests
        assert first.peak_memory < 300 * 2**20

        gate.log.clear()
        second = read_here(config, ["flow_runs"], first.state).ok()
        finished_in_lookback = timedelta(days=1) / every
        print(f"then {len(second.ids('flow_runs'))} rows in {len(gate.log)} requests")
        assert len(second.ids("flow_runs")) == 1
        assert len(gate.log) <= math.ceil(UNFINISHED / PAGE) + math.ceil(finished_in_lookback / PAGE) + 3
