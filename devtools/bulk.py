"""Many rows at once, written straight into a SQLite server's database: REST makes about 50 a second."""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

# Prefect's SQLite tables hold a duration as the time since then.
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Run(NamedTuple):
    """A run as its row says. Times are UTC; an unfinished run has no end. Without `start`, it began when it was due."""

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


def insert_flow_runs(database: Path, flow_id: str, runs: Iterable[Run]) -> list[str]:
    """Insert the runs with a state each; their ids, in order."""
    ids: list[str] = []
    run_rows, state_rows = [], []
    for run in runs:
        run_id, state_id = str(uuid.uuid4()), str(uuid.uuid4())
        ids.append(run_id)
        changed = sqlite_time(run.updated or run.end or run.expected)
        start = (run.start or run.expected) if run.end else None
        duration = run.end - start if run.end and start else timedelta(0)
        run_rows.append(
            (run_id, sqlite_time(run.expected), changed, f"run-{len(ids)}", flow_id, run.deployment_id, state_id,
             run.state, run.state.title(), changed, sqlite_time(run.expected), sqlite_time(start) if start else None,
             sqlite_time(run.end) if run.end else None, sqlite_time(_EPOCH + duration))
        )  # fmt: skip
        state_rows.append((state_id, changed, changed, run_id, run.state, run.state.title(), changed))
    # Autocommit is off: one transaction; the server waits for it.
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.executemany(
            "INSERT INTO flow_run (id, created, updated, name, flow_id, deployment_id, state_id, state_type, "
            "state_name, state_timestamp, expected_start_time, start_time, end_time, total_run_time, run_count, "
            "parameters, context, empirical_policy, tags, auto_scheduled, labels) VALUES "
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, '{}', '{}', '{}', '[]', 0, '{}')",
            run_rows,
        )
        connection.executemany(
            "INSERT INTO flow_run_state (id, created, updated, flow_run_id, type, name, timestamp, message, "
            "state_details, data) VALUES (?, ?, ?, ?, ?, ?, ?, '', '{}', 'null')",
            state_rows,
        )
    return ids


def insert_deployments(database: Path, tag_lists: Iterable[Sequence[str]], *, until: datetime) -> None:
    """Insert a deployment with each of these tags, of a flow of its own; one a second, the last of them at `until`."""
    flow_rows, deployment_rows = [], []
    for n, tags in enumerate(tag_lists):
        flow_id, deployment_id = str(uuid.uuid4()), str(uuid.uuid4())
        created = sqlite_time(until - timedelta(seconds=n))
        flow_rows.append((flow_id, created, created, f"flow-{n}"))
        deployment_rows.append((deployment_id, created, created, f"deployment-{n}", json.dumps(tags), flow_id))
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.executemany("INSERT INTO flow (id, created, updated, name) VALUES (?, ?, ?, ?)", flow_rows)
        connection.executemany(
            "INSERT INTO deployment (id, created, updated, name, tags, flow_id) VALUES (?, ?, ?, ?, ?, ?)",
            deployment_rows,
        )


def insert_task_runs(database: Path, flow_run_id: str, runs: Iterable[Run]) -> list[str]:
    """Insert the runs as task runs of one flow run, with a state each; their ids, in order."""
    ids: list[str] = []
    run_rows, state_rows = [], []
    for run in runs:
        run_id, state_id = str(uuid.uuid4()), str(uuid.uuid4())
        ids.append(run_id)
        changed = sqlite_time(run.updated or run.end or run.expected)
        run_rows.append(
            (run_id, sqlite_time(run.expected), changed, f"task-{len(ids)}", flow_run_id, f"task-{len(ids)}", run_id,
             state_id, run.state, run.state.title(), changed, sqlite_time(run.expected),
             sqlite_time(run.end) if run.end else None)
        )  # fmt: skip
        state_rows.append((state_id, changed, changed, run_id, run.state, run.state.title(), changed))
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.executemany(
            "INSERT INTO task_run (id, created, updated, name, flow_run_id, task_key, dynamic_key, state_id, "
            "state_type, state_name, state_timestamp, expected_start_time, end_time, total_run_time, labels) VALUES "
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '1970-01-01 00:00:00.000000', '{}')",
            run_rows,
        )
        connection.executemany(
            "INSERT INTO task_run_state (id, created, updated, task_run_id, type, name, timestamp, message, "
            "state_details, data) VALUES (?, ?, ?, ?, ?, ?, ?, '', '{}', 'null')",
            state_rows,
        )
    return ids


def sqlite_time(time: datetime) -> str:
    """A timestamp as Prefect's SQLite tables hold it."""
    return time.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")


def insert_logs(
    database: Path, times: Iterable[datetime], *, level: int = 20, received: datetime | None = None
) -> list[str]:
    """Log lines of these times, that came to the server when they were logged, or at another time; their ids."""
    rows = [
        (str(uuid.uuid4()), sqlite_time(received or at), sqlite_time(received or at), "prefect.flow_runs", level,
         f"line {number}", sqlite_time(at))
        for number, at in enumerate(times)
    ]  # fmt: skip
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.executemany(
            "INSERT INTO log (id, created, updated, name, level, message, timestamp) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
        )
    return [row[0] for row in rows]


def insert_events(
    database: Path, times: Iterable[datetime], *, event: str = "shop.order.paid", received: datetime | None = None
) -> list[str]:
    """Events that occurred at these times, and were received then, or at another time; their ids."""
    resource = '{"prefect.resource.id": "shop.order.1"}'
    rows = [
        (str(uuid.uuid4()), event, "shop.order.1", resource, sqlite_time(at), sqlite_time(received or at),
         sqlite_time(received or at))
        for at in times
    ]  # fmt: skip
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.executemany(
            "INSERT INTO events (id, event, resource_id, resource, related, payload, occurred, received, recorded) "
            "VALUES (?, ?, ?, ?, '[]', '{}', ?, ?, ?)",
            rows,
        )
    return [row[0] for row in rows]
