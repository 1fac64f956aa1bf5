"""The examples for the command line, run as in the README: by their path, with any Python."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name: str, messages: list[dict[str, Any]], folder: Path) -> Any:
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"], input=lines, cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_catalog_replaces_what_is_always_read_whole(tmp_path: Path) -> None:
    flows = {"name": "flows", "supported_sync_modes": ["full_refresh", "incremental"]}
    lineage = {"name": "lineage", "supported_sync_modes": ["full_refresh"]}
    messages = [{"type": "LOG", "log": {}}, {"type": "CATALOG", "catalog": {"streams": [flows, lineage]}}]
    assert run("make_catalog", messages, tmp_path) == {
        "streams": [
            {"stream": flows, "sync_mode": "incremental", "destination_sync_mode": "append"},
            {"stream": lineage, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"},
        ]
    }


def test_the_last_state_of_each_stream_is_kept(tmp_path: Path) -> None:
    def state(name: str, updated: str) -> dict[str, Any]:
        stream = {"stream_descriptor": {"name": name}, "stream_state": {"updated": updated}}
        return {"type": "STATE", "state": {"type": "STREAM", "stream": stream, "sourceStats": {"recordCount": 1}}}

    messages = [state("flows", "1"), state("flow_runs", "1"), {"type": "RECORD", "record": {}}, state("flows", "2")]
    last = {entry["stream"]["stream_descriptor"]["name"]: entry for entry in run("last_state", messages, tmp_path)}
    assert {name: entry["stream"]["stream_state"] for name, entry in last.items()} == {
        "flows": {"updated": "2"},
        "flow_runs": {"updated": "1"},
    }
    assert all(sorted(entry) == ["stream", "type"] for entry in last.values())
