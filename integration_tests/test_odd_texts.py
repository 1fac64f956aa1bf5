"""No record holds U+0000, even escaped: SQLite stores it, and many destinations refuse it."""

import json
from typing import Any

import pytest

from devtools.connector import read_here
from devtools.data.seeding import execute, make_deployment, make_flow, make_one_of_everything, make_run
from devtools.servers.prefect import PrefectServer

STREAMS = ["flow_runs", "artifacts", "deployments", "logs", "events", "variables"]


@pytest.fixture
def marked(empty: PrefectServer) -> PrefectServer:
    """A server with U+0000 in texts, JSON, keys and events, and texts that only look like it."""
    make_one_of_everything(empty)
    flow = make_flow(empty, "odd")
    parameters = {"a\0b": ["\0\0", {"c": "\\\0"}], "plain": "\\u0000 is written \\\\u0000"}
    run = make_run(empty, flow, "COMPLETED", parameters=parameters)
    execute(empty, "UPDATE flow_run_state SET message = 'a' || char(0) || 'z' WHERE flow_run_id = ?", run)
    make_deployment(empty, flow, "odd")
    execute(empty, "UPDATE deployment SET description = char(0)")
    empty.post("artifacts/", {"key": "odd", "type": "markdown", "data": "x"})
    execute(empty, "UPDATE artifact SET description = char(0) || char(0)")
    empty.post("variables/", {"name": "odd", "value": {"k\0": "\0"}})
    line = {"name": "n", "level": 20, "message": "m", "timestamp": "2026-11-01T00:00:00Z", "flow_run_id": run}
    empty.post("logs/", [line, line])
    execute(empty, "UPDATE log SET message = 'm' || char(0)")
    resource = {"prefect.resource.id": "odd.1", "prefect.resource.name": "\0"}
    event = {"event": "odd", "occurred": "2026-11-01T00:00:00Z", "resource": resource, "payload": {"\0": "\0"}}
    empty.post("events", [{"id": "0d3f5a52-2f0c-4c58-9a44-5b8e1f6f7c21", **event}])
    empty.wait_for_events()
    return empty


def test_no_record_holds_it_and_one_line_counts_the_rows(marked: PrefectServer) -> None:
    sync = read_here({"connection": {"type": "server", "api_url": marked.url}}, STREAMS).ok()
    texts: list[Any] = []
    for stream in STREAMS:
        texts += [value for record in sync.records[stream] for value in record.values()]
        [line] = [line for line in sync.logs if "U+0000" in line and line.startswith(f"{stream}:")]
        # Some events of the server tell of these rows.
        rows = 2 if stream in ("deployments", "artifacts", "logs") else 1
        assert stream == "events" or line.startswith(f"{stream}: {rows} rows held U+0000")
    assert not any("\0" in text or "\\u0000" in text.replace("\\\\", "") for text in texts if isinstance(text, str))
    [run] = [it for it in sync.records["flow_runs"] if it.get("state_message") == "a\ufffdz"]
    assert json.loads(run["parameters"]) == {
        "a\ufffdb": ["\ufffd\ufffd", {"c": "\\\ufffd"}],
        "plain": "\\u0000 is written \\\\u0000",
    }
