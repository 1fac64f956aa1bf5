"""What a destination makes of the syncs, and how it is compared with the server."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from devtools.connector import State, Sync
from devtools.servers.prefect import PrefectServer
from source_prefect.times import parse_time

NEVER = datetime.min.replace(tzinfo=UTC)

Row = dict[str, Any]
Table = dict[str, Row]

# The API's name of each stream's table is the stream's own.
STREAMS = ["flows", "deployments", "flow_runs", "task_runs", "artifacts", "variables"]

# What the server computes for every answer.
COMPUTED = {"estimated_run_time", "estimated_start_time_delta", "total_run_time"}
# What moves without `updated`: a worker's poll, and the status that follows from it.
UNTRACKED = {"last_polled", "status"}


class Destination:
    """The latest row of each id, and the state to start the next sync from."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = defaultdict(dict)
        self._states: dict[str, dict[str, Any]] = {}

    @property
    def state(self) -> State | None:
        return list(self._states.values()) or None

    def load(self, sync: Sync) -> None:
        """Take in a sync, but not what a broken one sent after its last state: it may be lost."""
        for stream, records in sync.records.items():
            kept = records if sync.exit_code == 0 else records[: sync.committed[stream]]
            self.tables[stream].update({row["id"]: row for row in kept})
        self._states.update({stream: messages[-1] for stream, messages in sync.states.items()})


# A deployment that lost a schedule counts as updated when it was noticed.
_NEWER = defaultdict(set, {"deployments": {"updated"}})

Snapshot = dict[str, Table]


def snapshot(server: PrefectServer) -> Snapshot:
    """Every row of the server, as it is now."""
    sort = {"flow_runs": "ID_DESC", "task_runs": "ID_DESC"}
    return {
        table: {row["id"]: row for row in server.rows(table, sort=sort.get(table, "CREATED_DESC"))} for table in STREAMS
    }


def differences(
    destination: Destination,
    before: Snapshot,
    after: Snapshot,
    except_for: Callable[[str, Row], bool] = lambda _stream, _row: False,
) -> list[str]:
    """Where the destination is not what the server was both before and after the sync."""
    found = []
    for stream in STREAMS:
        for id_, raw in after[stream].items():
            if _settled(before[stream].get(id_)) != _settled(raw) or except_for(stream, raw):
                continue
            row = destination.tables[stream].get(id_)
            if row is None:
                found.append(f"{stream} {id_} is missing: {raw}")
            else:
                found += [
                    f"{stream} {id_}: {column} is {row.get(column)!r}, should be {value!r}"
                    for column, value in _expected(stream, raw).items()
                    if not _same(row.get(column), value) and column not in _NEWER[stream]
                ]
    return found


def _settled(raw: Row | None) -> Row | None:
    return raw and {key: value for key, value in raw.items() if key not in COMPUTED}


def _expected(stream: str, raw: Mapping[str, Any]) -> Row:
    row = {key: value for key, value in raw.items() if key not in COMPUTED | UNTRACKED}
    state = row.pop("state", None) or {}
    row.update({f"state_{key}": state[key] for key in ("id", "type", "name", "message", "timestamp") if key in state})
    if stream == "deployments":
        times = [raw["updated"], *(entry["updated"] for entry in raw["schedules"])]
        row["updated"] = max(times, key=lambda text: parse_time(text) or NEVER)
    # Objects of a fixed shape, whose fields are columns of their own.
    for column in ("empirical_policy", "created_by", "updated_by", "global_concurrency_limit", "concurrency_options"):
        row.pop(column, None)
    return row


def _same(value: Any, raw: Any) -> bool:
    if isinstance(value, str) and not isinstance(raw, str):  # JSON text
        return bool(json.loads(value) == raw)
    return bool(value == raw)
