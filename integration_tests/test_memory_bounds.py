"""A sync needs little memory: for large rows, slow readers, and rows that make many others."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from devtools.connector import Sync, read
from devtools.data.bulk import insert, insert_deployments
from devtools.data.seeding import make_flow
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request, proxy

NOW = datetime.now(UTC)
MEGABYTE = 2**20


# Large rows

ARTIFACTS, SIZE = 2_000, 200_000


@pytest.fixture(scope="module")
def heavy(server: PrefectServer) -> Iterator[Proxy]:
    """A server with artifacts of 400 MB, whose data a proxy puts in."""
    rows = [
        {
            "id": f"{n:08d}-0000-4000-8000-000000000000",
            "key": f"report-{n}",
            "type": "markdown",
            "created": NOW,
            "updated": NOW,
        }
        for n in range(ARTIFACTS)
    ]
    insert(server.database, {"artifact": rows})

    def behave(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        return answer.with_rows([row | {"data": "x" * SIZE} for row in answer.rows])

    with proxy(server.url, behave) as front:
        yield front


def until_idle(front: Proxy) -> Callable[[Sync], bool]:
    """A destination that takes one record and waits until the connector sends no more requests."""
    waited: list[bool] = []

    def wait_once(sync: Sync) -> bool:
        if sync.records and not waited:
            waited.append(True)
            seen = -1
            while seen < (seen := len(front.log)):
                time.sleep(4)
        return False

    return wait_once


def test_large_rows_wait_in_little_memory_for_a_slow_destination(heavy: Proxy) -> None:
    config = {"connection": {"type": "server", "api_url": heavy.url}}
    sync = read(config, ["artifacts"], killed_when=until_idle(heavy)).ok()
    assert {len(row["data"]) for row in sync.records["artifacts"]} == {SIZE}
    assert len(set(sync.ids("artifacts"))) == ARTIFACTS
    assert sync.peak_memory < 250 * MEGABYTE, f"{sync.peak_memory / MEGABYTE:.0f} MB"


# Many rows out of one

# All of them times all of them are 360,000 edges.
SIDE = 600
TAGS = [f"om-{side}:shop.public.table_{n}" for side in ("source", "destination") for n in range(SIDE)]
ENOUGH = 20_000


@pytest.mark.parametrize("of", ["flow", "deployment"])
def test_the_edges_of_many_tags_are_made_one_after_the_other(empty: PrefectServer, of: str) -> None:
    """Memory peaks before the first edge is printed, so the test does not wait for the rest."""
    if of == "flow":
        make_flow(empty, tags=TAGS)
    else:
        insert_deployments(empty.database, [TAGS], until=NOW)
    config: dict[str, Any] = {"connection": {"type": "server", "api_url": empty.url}}
    sync = read(config, ["lineage"], killed_when=lambda sync: len(sync.records["lineage"]) >= ENOUGH)
    edges = sync.records["lineage"]
    assert len(edges) >= ENOUGH
    assert len({(edge["source"], edge["destination"]) for edge in edges}) == len(edges)
    assert sync.peak_memory < 200 * MEGABYTE, f"{sync.peak_memory / MEGABYTE:.0f} MB"
