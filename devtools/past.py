"""A past for a throw-away server, whose rows would all be of the last minute: for the demo, where time must tell."""

import random
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from devtools.bulk import Run, insert_flow_runs, sqlite_time
from devtools.server import PrefectServer

PAST = timedelta(days=30)

# What does not happen once, but is there: it is older than the runs.
_DEFINITIONS = ("flow", "deployment", "deployment_schedule", "variable")

# What belongs to a run, by the column that names the run.
_PARTS_OF_FLOW_RUN = ("flow_run_state", "task_run", "artifact")


class Habit(NamedTuple):
    """How the runs of a flow use to go."""

    every: timedelta
    seconds: float
    failing: float


HABITS: Mapping[str, Habit] = {
    "load-orders": Habit(timedelta(hours=6), seconds=240, failing=0.04),
    "refresh-marts": Habit(timedelta(hours=1), seconds=45, failing=0.01),
    "sync-crm": Habit(timedelta(days=1), seconds=600, failing=0.30),
    "train-forecast": Habit(timedelta(days=1), seconds=3000, failing=0.10),
}


def give_past(server: PrefectServer) -> int:
    """Spread the server's rows over the last days, and add a month of runs before them; how many were added."""
    with closing(sqlite3.connect(server.database, timeout=60)) as connection, connection:
        _make_older(connection)
    deployments = {row["flow_id"]: row["id"] for row in server.rows("deployments")}
    added = 0
    for flow in server.rows("flows"):
        if habit := HABITS.get(flow["name"]):
            runs = _runs(habit, flow["name"], deployments.get(flow["id"]))
            added += len(insert_flow_runs(server.database, flow["id"], runs))
    return added


def _runs(habit: Habit, name: str, deployment_id: str | None) -> Iterator[Run]:
    chance = random.Random(name)
    until = datetime.now(timezone.utc) - timedelta(days=1)
    due = until - PAST
    while due < until:
        start = due + timedelta(seconds=chance.expovariate(1 / 5))
        end = start + timedelta(seconds=habit.seconds * chance.lognormvariate(0, 0.4))
        state = "FAILED" if chance.random() < habit.failing else "COMPLETED"
        yield Run(due, end, state=state, start=start, deployment_id=deployment_id)
        due += habit.every


def _make_older(connection: sqlite3.Connection) -> None:
    """Move each row back, the newest the least; a run with all that belongs to it. The future stays as it is."""
    for table in _DEFINITIONS:
        for age, (row_id,) in enumerate(_newest_first(connection, table)):
            _move(connection, table, "id", row_id, PAST + timedelta(days=1, hours=age))
    for age, (run_id,) in enumerate(_newest_first(connection, "flow_run")):
        _move_run(connection, run_id, timedelta(hours=age))


def _newest_first(connection: sqlite3.Connection, table: str) -> list[tuple[str]]:
    top = "WHERE parent_task_run_id IS NULL" if table == "flow_run" else ""
    return connection.execute(f"SELECT id FROM {table} {top} ORDER BY created DESC, id").fetchall()


def _move_run(connection: sqlite3.Connection, run_id: str, by: timedelta) -> None:
    _move(connection, "flow_run", "id", run_id, by)
    for table in _PARTS_OF_FLOW_RUN:
        _move(connection, table, "flow_run_id", run_id, by)
    for (task_run_id,) in connection.execute("SELECT id FROM task_run WHERE flow_run_id = ?", (run_id,)).fetchall():
        _move(connection, "task_run_state", "task_run_id", task_run_id, by)
        subflows = connection.execute("SELECT id FROM flow_run WHERE parent_task_run_id = ?", (task_run_id,))
        for (subflow_id,) in subflows.fetchall():
            _move_run(connection, subflow_id, by)


def _move(connection: sqlite3.Connection, table: str, column: str, value: str, by: timedelta) -> None:
    now = sqlite_time(datetime.now(timezone.utc))

    def earlier(time: str | None) -> str | None:
        return time if time is None or time > now else sqlite_time(datetime.fromisoformat(f"{time}+00:00") - by)

    connection.create_function("earlier", 1, earlier)
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[2] == "DATETIME"]
    # A duration is held as a time, too.
    times = ", ".join(f"{name} = earlier({name})" for name in columns if name != "total_run_time")
    connection.execute(f"UPDATE {table} SET {times} WHERE {column} = ?", (value,))
