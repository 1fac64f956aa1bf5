"""Rows that no Prefect sends today: each is passed on, oddities are logged, promises are kept."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import read, read_here
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request, pass_on, proxy
from integration_tests.torture.destination import Destination, differences, snapshot
from source_prefect.times import parse_time

Row = dict[str, Any]

FUTURE = "2999-01-01T00:00:00Z"
LONG = "x" * 5_000_000
HUGE = 10**30

# What becomes of the runs of these names on their way: the API's fields, and the columns that they
# end up in.
ODDITIES: dict[str, tuple[Row, Row]] = {
    "updated is null": ({"updated": None}, {"updated": None}),
    "updated is no time": ({"updated": "banana"}, {"updated": "banana"}),
    "updated is a number": ({"updated": 5}, {"updated": 5}),
    "updated lies in the future": ({"updated": FUTURE}, {"updated": FUTURE}),
    "unknown state": ({"state_type": "HIBERNATING"}, {"state_type": "HIBERNATING"}),
    "state is text": ({"state": "done"}, {"state": "done"}),
    "unknown fields": (
        {"mood": "blue", "weather": {"rain": [1, 2]}},
        {"mood": "blue", "weather": '{"rain":[1,2]}'},
    ),
    "numbers as text": ({"run_count": "3"}, {"run_count": "3"}),
    "long parameters": ({"parameters": {"text": LONG}}, {"parameters": f'{{"text":"{LONG}"}}'}),
    "odd letters": (
        {"parameters": {"a\x00": "b\ud800"}, "work_queue_name": "\x00\ud800é"},
        {"parameters": '{"a\\ufffd":"b\\ud800"}', "work_queue_name": "\ufffd\ud800é"},
    ),
    "offset": ({"start_time": "2026-11-20T13:00:00+02:00"}, {"start_time": "2026-11-20T13:00:00+02:00"}),
    "huge number": ({"run_count": HUGE, "context": {"n": HUGE}}, {"run_count": HUGE, "context": f'{{"n":{HUGE}}}'}),
    "tags are null": ({"tags": None}, {"tags": None}),
}


def changed(change: Callable[[Row], None], table: str) -> Callable[[Request, Forward], Answer]:
    """A behaviour that changes every row of a table."""

    def behave(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if request.path != f"{table}/filter" or answer.status != 200:
            return answer
        rows = answer.rows
        for row in rows:
            change(row)
        return Answer(200, json.dumps(rows).encode(), answer.headers)

    return behave


def odd_run(row: Row) -> None:
    row.update(ODDITIES.get(row["name"], ({}, {}))[0])
    if row["name"] == "unknown state":
        row["state"]["type"] = "HIBERNATING"
    if row["name"] == "without updated":
        del row["updated"]
    if row["name"] == "without id":
        del row["id"]


@pytest.fixture(scope="module")
def runs(server: PrefectServer) -> dict[str, Row]:
    """A run by each of these names, and some that nothing happens to."""
    flow = server.post("flows/", {"name": "odd"})["id"]
    names = [*ODDITIES, "without updated", "without id", *(f"plain {n}" for n in range(5))]
    return {
        name: server.post("flow_runs/", {"name": name, "flow_id": flow, "state": {"type": "PENDING"}}) for name in names
    }


def config(between: Proxy, page_size: int = 200) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": between.url}, "page_size": page_size}


def test_strange_runs_are_passed_on_as_they_are(server: PrefectServer, runs: dict[str, Row]) -> None:
    with proxy(server.url, changed(odd_run, "flow_runs")) as between:
        odd = read(config(between), ["flow_runs"]).ok()
        between.behaviour = pass_on
        plain = read_here(config(between), ["flow_runs"]).ok()

    rows = {row["name"]: row for row in odd.records["flow_runs"]}
    expected = {row["name"]: settled(row) for row in plain.records["flow_runs"]}
    assert rows.keys() == expected.keys() == runs.keys()
    for name, (_, columns) in ODDITIES.items():
        expected[name] = settled({**expected[name], **columns})
    expected["state is text"] = {k: v for k, v in expected["state is text"].items() if not dropped_with_state(k)}
    del expected["without updated"]["updated"]
    del expected["without id"]["id"]
    del expected["without id"]["ui_url"]
    assert {name: settled(row) for name, row in rows.items()} == expected
    assert any("fields that this version does not know" in log and "mood, weather" in log for log in odd.logs)


def test_a_row_that_is_dated_in_the_future_does_not_carry_the_cursor(
    server: PrefectServer, runs: dict[str, Row]
) -> None:
    destination = Destination()
    with proxy(server.url, changed(odd_run, "flow_runs")) as between:
        sync = read_here(config(between, 4), ["flow_runs"]).ok()
        cursor = parse_time(sync.cursor("flow_runs"))
        assert cursor is not None
        assert cursor <= datetime.now(UTC) + timedelta(seconds=1)
        server.patch(f"flow_runs/{runs['plain 0']['id']}", {"name": "renamed"})
        later = read_here(config(between, 4), ["flow_runs"], sync.state).ok()
    assert "renamed" in [row["name"] for row in later.records["flow_runs"]]
    server.patch(f"flow_runs/{runs['plain 0']['id']}", {"name": "plain 0"})
    before = snapshot(server)
    destination.load(read_here({"connection": {"type": "server", "api_url": server.url}}).ok())
    assert differences(destination, before, snapshot(server)) == []


@pytest.mark.parametrize(
    ("schedules", "schedule", "text"),
    [
        (None, None, None),
        (7, None, 7),
        ("daily", None, "daily"),
        ([None, "daily", 5], None, '[null,"daily",5]'),
        ([{"active": True, "schedule": None}], None, '[{"active":true,"schedule":null}]'),
        ([{"active": True, "schedule": "daily"}], None, '[{"active":true,"schedule":"daily"}]'),
        (
            [{"active": True, "updated": "soon", "schedule": {"interval": "P1D"}}],
            None,
            '[{"active":true,"updated":"soon","schedule":{"interval":"P1D"}}]',
        ),
        (
            [{"active": True, "schedule": {"interval": 3456000.0}}],
            "every 3456000s",
            '[{"active":true,"schedule":{"interval":3456000.0}}]',
        ),
    ],
)
def test_strange_schedules_are_passed_on(
    server: PrefectServer, schedules: Any, schedule: str | None, text: Any
) -> None:
    flow = server.post("flows/", {"name": "odd"})["id"]
    server.post("deployments/", {"name": "odd", "flow_id": flow})
    with proxy(server.url, changed(lambda row: row.update(schedules=schedules), "deployments")) as between:
        [row] = read_here(config(between), ["deployments"]).ok().records["deployments"]
    assert (row.get("schedule"), row.get("schedules")) == (schedule, text)


def settled(row: Row) -> Row:
    """The row without what the server computes per answer, and without nulls, as in messages."""
    return {key: value for key, value in row.items() if value is not None and not key.startswith("estimated_")}


def dropped_with_state(column: str) -> bool:
    """Whether a column comes from the run's `state` alone."""
    own = {"state_id", "state_type", "state_name"}
    return column.startswith("state_") and column not in own
