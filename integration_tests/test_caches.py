"""A proxy caches answers to POST requests, and the server behind it gets new rows."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from devtools.connector import read_here as read
from devtools.data.seeding import make_flow
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request

STREAMS = ["flows", "flow_runs", "logs", "work_pools"]


def caching(*, is_asked_not_to: bool) -> Behaviour:
    kept: dict[str, Answer] = {}

    def answer(request: Request, forward: Forward) -> Answer:
        key = json.dumps([request.method, request.path, request.body])
        if is_asked_not_to and "no-store" in request.headers.get("Cache-Control", ""):
            return forward(request)
        if key in kept:
            return replace(kept[key], headers={**kept[key].headers, "Age": "60"})
        return kept.setdefault(key, forward(request))

    return answer


def fill(server: PrefectServer, name: str) -> None:
    run = server.post("flow_runs/", {"flow_id": make_flow(server, name)})["id"]
    server.post("work_pools/", {"name": name, "type": "process"})
    line = {"name": "n", "level": 20, "message": name, "timestamp": datetime.now(UTC).isoformat(), "flow_run_id": run}
    server.post("logs/", [line])


@pytest.fixture
def config(empty_gate: Proxy) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": empty_gate.url}}


def test_a_cache_is_asked_not_to_answer(empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any]) -> None:
    empty_gate.behaviour = caching(is_asked_not_to=True)
    fill(empty, "first")
    first = read(config, STREAMS).ok()
    fill(empty, "second")
    later = read(config, STREAMS, first.state).ok()
    for name in STREAMS:
        assert {row["id"] for row in empty.rows(name)} == {*first.ids(name), *later.ids(name)}


def test_an_answer_from_a_cache_ends_the_stream(
    empty: PrefectServer, empty_gate: Proxy, config: dict[str, Any]
) -> None:
    empty_gate.behaviour = caching(is_asked_not_to=False)
    fill(empty, "first")
    first = read(config, ["work_pools"]).ok()
    fill(empty, "second")
    later = read(config, ["work_pools"], first.state)
    assert later.exit_code == 1
    assert later.cursor("work_pools") == first.cursor("work_pools")
    assert "answered from a cache" in later.errors[0]["message"]
