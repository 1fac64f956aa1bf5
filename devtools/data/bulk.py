"""Many rows at once, written straight into a server's database: REST makes about 50 a second."""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

# A row of a table by its columns; times and durations are still Python's.
Columns = dict[str, Any]

# Prefect's SQLite tables hold a duration as the time since then.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Run(NamedTuple):
    """A run as its row says. Times are UTC; an unfinished run has no end.

    Without `start`, it began when it was due.
    """

    expected: datetime
    end: datetime | None
    updated: datetime | None = None
    state: str = "COMPLETED"
    start: datetime | None = None
    deployment_id: str | None = None


def history(count: int, *, until: datetime, every: timedelta) -> Iterable[Run]:
    """Finished runs, one after the other, the last of which ended at `until`."""
    for n in range(count):
        end = until - n * every
        yield Run(end - timedelta(seconds=30), end)


def flow_run_rows(flow_id: str, runs: Iterable[Run]) -> Iterator[tuple[Columns, Columns]]:
    """Each run's rows in `flow_run` and `flow_run_state`."""
    for number, run in enumerate(runs, 1):
        start = (run.start or run.expected) if run.end else None
        columns, state = _run_and_state("flow_run", number, run)
        columns |= {"flow_id": flow_id, "deployment_id": run.deployment_id, "start_time": start,
                    "total_run_time": run.end - start if run.end and start else timedelta(0), "run_count": 1,
                    "parameters": "{}", "context": "{}", "empirical_policy": "{}", "tags": "[]",
                    "auto_scheduled": 0}  # fmt: skip
        yield columns, state


def task_run_rows(flow_run_id: str, runs: Iterable[Run]) -> Iterator[tuple[Columns, Columns]]:
    """Each run's rows in `task_run` and `task_run_state`, all of them of one flow run."""
    for number, run in enumerate(runs, 1):
        columns, state = _run_and_state("task_run", number, run)
        columns |= {"flow_run_id": flow_run_id, "task_key": columns["name"], "dynamic_key": columns["id"],
                    "total_run_time": timedelta(0)}  # fmt: skip
        yield columns, state


def _run_and_state(table: str, number: int, run: Run) -> tuple[Columns, Columns]:
    """What the two kinds of runs have in common."""
    run_id, state_id = str(uuid.uuid4()), str(uuid.uuid4())
    changed = run.updated or run.end or run.expected
    columns = {"id": run_id, "created": run.expected, "updated": changed,
               "name": f"{table.replace('_', '-')}-{number}",
               "state_id": state_id, "state_type": run.state, "state_name": run.state.title(),
               "state_timestamp": changed, "expected_start_time": run.expected, "end_time": run.end,
               "labels": "{}"}  # fmt: skip
    state = {"id": state_id, "created": changed, "updated": changed, f"{table}_id": run_id, "type": run.state,
             "name": run.state.title(), "timestamp": changed, "message": "", "state_details": "{}",
             "data": "null"}  # fmt: skip
    return columns, state


def insert_flow_runs(database: Path, flow_id: str, runs: Iterable[Run]) -> list[str]:
    """Insert the runs with a state each; their ids, in order."""
    return _insert_runs(database, "flow_run", flow_run_rows(flow_id, runs))


def insert_task_runs(database: Path, flow_run_id: str, runs: Iterable[Run]) -> list[str]:
    """Insert the runs as task runs of one flow run, with a state each; their ids, in order."""
    return _insert_runs(database, "task_run", task_run_rows(flow_run_id, runs))


def _insert_runs(database: Path, table: str, rows: Iterable[tuple[Columns, Columns]]) -> list[str]:
    pairs = list(rows)
    insert(database, {table: [run for run, _ in pairs], f"{table}_state": [state for _, state in pairs]})
    return [run["id"] for run, _ in pairs]


def insert_deployments(database: Path, tag_lists: Iterable[Sequence[str]], *, until: datetime) -> None:
    """Insert a deployment and a flow for each list of tags; one a second, the last at `until`."""
    flows, deployments = [], []
    for n, tags in enumerate(tag_lists):
        flow_id, created = str(uuid.uuid4()), until - timedelta(seconds=n)
        dated = {"created": created, "updated": created}
        flows.append({"id": flow_id, "name": f"flow-{n}", **dated})
        deployments.append(
            {"id": str(uuid.uuid4()), "name": f"deployment-{n}", "tags": json.dumps(tags), "flow_id": flow_id, **dated}
        )
    insert(database, {"flow": flows, "deployment": deployments})


def insert_logs(
    database: Path, times: Iterable[datetime], *, level: int = 20, received: datetime | None = None
) -> list[str]:
    """Insert log lines of these times, received then or at another time; their ids."""
    rows = [
        {"id": str(uuid.uuid4()), "created": received or at, "updated": received or at, "name": "prefect.flow_runs",
         "level": level, "message": f"line {number}", "timestamp": at}
        for number, at in enumerate(times)
    ]  # fmt: skip
    insert(database, {"log": rows})
    return [str(row["id"]) for row in rows]


def insert_events(
    database: Path,
    times: Iterable[datetime],
    *,
    event: str = "shop.order.paid",
    received: datetime | None = None,
    payload: Mapping[str, Any] | None = None,
) -> list[str]:
    """Insert events of these times, received then or at another time; their ids."""
    rows = [
        {"id": str(uuid.uuid4()), "event": event, "resource_id": "shop.order.1",
         "resource": '{"prefect.resource.id": "shop.order.1"}', "related": "[]", "payload": json.dumps(payload or {}),
         "occurred": at, "received": received or at, "recorded": received or at}
        for at in times
    ]  # fmt: skip
    insert(database, {"events": rows})
    return [str(row["id"]) for row in rows]


# Columns that 3.0.11 does not have.
_LATER = {"labels"}


def insert(database: Path, tables: Mapping[str, Sequence[Columns]]) -> None:
    """Insert rows into the tables of a SQLite database, all or none; the rows of a table have the
    same columns.

    Those of `_LATER` are left out where the server's version of Prefect does not have them.
    """
    # Autocommit is off: one transaction; the server waits for it.
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        for table, rows in tables.items():
            if rows:
                there = {column[1] for column in connection.execute(f"PRAGMA table_info({table})")}
                columns = [name for name in rows[0] if name in there or name not in _LATER]
                connection.executemany(
                    f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
                    ([_sqlite_value(row[name]) for name in columns] for row in rows),
                )


def sqlite_time(time: datetime) -> str:
    """A timestamp as Prefect's SQLite tables hold it."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _sqlite_value(value: Any) -> Any:
    if isinstance(value, timedelta):
        value = _EPOCH + value
    return sqlite_time(value) if isinstance(value, datetime) else value
