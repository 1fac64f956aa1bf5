"""A history for a throw-away server, whose rows would all be of the last minute: for the demo,
which shows trends.

`PREFECT_API_URL=... PREFECT_HOME=... python -m devtools.data.demo_history` first runs the flows of
devtools.data.flows, in one process: Prefect takes seconds to import.
"""

import asyncio
import os
import random
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from prefect.server.schemas.schedules import SCHEDULE_TYPES
from pydantic import TypeAdapter

from devtools.data import flows
from devtools.data.bulk import Run, insert_flow_runs, sqlite_time
from devtools.servers.prefect import PrefectServer

PAST = timedelta(days=30)

_SCHEDULE: TypeAdapter[Any] = TypeAdapter(SCHEDULE_TYPES)

# What does not happen once, but is there: it is older than the runs.
_DEFINITIONS = ("flow", "deployment", "deployment_schedule", "variable")

# What belongs to a run, by the column that names the run.
_PARTS_OF_FLOW_RUN = ("flow_run_state", "task_run", "artifact")


class Habit(NamedTuple):
    """How the runs of a flow use to go: when, if no schedule says so, and what they fail with."""

    seconds: float
    failing: float
    message: str
    every: timedelta | None = None


HABITS: Mapping[str, Habit] = {
    "load-orders": Habit(240, 0.03, "The shop answered 503 after {number} seconds"),
    "refresh-marts": Habit(45, 0.01, "mart.customers is locked by session {number}"),
    "sync-crm": Habit(600, 0.30, "CRM answered 503 for page {number}", every=timedelta(days=1)),
    "train-forecast": Habit(3000, 0.10, "Out of memory at step {number}", every=timedelta(days=1)),
}

# The shop has been down for so long: orders are not loaded, and the forecast that waits for them
# is not made.
DOWN = timedelta(days=3)
BROKEN, WAITING = "load-orders", "train-forecast"

OWNERS = {"load-orders": "Ana", "refresh-marts": "Ben", "sync-crm": "Ana"}


def give_past(server: PrefectServer) -> int:
    """Spread the rows over the last days, and add a month of runs before them; their number."""
    with closing(sqlite3.connect(server.database, timeout=60)) as connection, connection:
        _make_older(connection)
        for name, owner in OWNERS.items():
            connection.execute(
                "UPDATE deployment SET tags = json_insert(tags, '$[#]', ?) WHERE flow_id = "
                "(SELECT id FROM flow WHERE name = ?)", (f"owner:{owner}", name),
            )  # fmt: skip
        connection.execute(
            "UPDATE flow SET tags = json_insert(tags, '$[#]', 'om-source:warehouse.staging.orders', "
            "'$[#]', 'om-destination:warehouse.mart.forecast') WHERE name = ?", (WAITING,),
        )  # fmt: skip
    deployments = {row["flow_id"]: row for row in server.rows("deployments")}
    now = datetime.now(UTC)
    added = 0
    for flow in server.rows("flows"):
        if habit := HABITS.get(flow["name"]):
            deployment = deployments.get(flow["id"])
            dues = _every(habit.every, now) if habit.every else _promised(deployment, now)
            runs = list(_runs(habit, flow["name"], deployment, dues, now))
            ids = insert_flow_runs(server.database, flow["id"], runs)
            with closing(sqlite3.connect(server.database, timeout=60)) as connection, connection:
                _explain(connection, habit, ids)
                if deployment and not habit.every:
                    _mark(connection, ids, "auto_scheduled = 1")
            added += len(ids)
    _open_runs(server, deployments, now)
    return added


def _promised(deployment: Mapping[str, Any] | None, now: datetime) -> list[datetime]:
    """When the active schedules of a deployment had it run, until now."""
    assert deployment is not None
    begin = now - PAST
    found: set[datetime] = set()
    for entry in deployment["schedules"]:
        if entry["active"]:
            schedule = _SCHEDULE.validate_python(entry["schedule"])
            found |= set(asyncio.run(schedule.get_dates(start=begin, end=now - timedelta(minutes=10))))
    return sorted(found)


def _every(step: timedelta, now: datetime) -> list[datetime]:
    begin, days = now - PAST, int((PAST - timedelta(days=1)) / step)
    return [begin + n * step for n in range(days)]


def _runs(
    habit: Habit, name: str, deployment: Mapping[str, Any] | None, dues: Sequence[datetime], now: datetime
) -> Iterator[Run]:
    chance = random.Random(name)
    for due in dues:
        is_down = due > now - DOWN
        # Sometimes all workers are busy, and once there was none for a whole night.
        late = chance.expovariate(1 / 5) + (chance.random() < 0.02) * chance.uniform(60, 600)
        state = "FAILED" if chance.random() < habit.failing else "COMPLETED"
        took = habit.seconds * chance.lognormvariate(0, 0.4)
        if (is_down and name == WAITING) or timedelta(days=12) < now - due < timedelta(days=12, hours=7):
            continue
        if is_down and name == BROKEN:
            state, took = "FAILED", 31.0
        start = due + timedelta(seconds=late)
        end = start + timedelta(seconds=took)
        if end < now:
            yield Run(due, end, state=state, start=start, deployment_id=deployment["id"] if deployment else None)


def _explain(connection: sqlite3.Connection, habit: Habit, run_ids: Sequence[str]) -> None:
    """Give the failures among these runs a message."""
    for number, run_id in enumerate(run_ids):
        connection.execute(
            "UPDATE flow_run_state SET message = ? WHERE flow_run_id = ? AND type = 'FAILED'",
            (habit.message.format(number=number), run_id),
        )


def _open_runs(server: PrefectServer, deployments: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
    """A run that began a minute ago, one that has hung since last night, and one not started."""
    flows = {row["name"]: row["id"] for row in server.rows("flows")}
    for name, age, state in (
        ("refresh-marts", timedelta(seconds=40), "RUNNING"),
        ("sync-crm", timedelta(hours=9), "RUNNING"),
        ("load-orders", timedelta(minutes=25), "SCHEDULED"),
    ):
        flow, due = flows[name], now - age
        run = Run(due, None, state=state, deployment_id=deployments[flow]["id"])
        ids = insert_flow_runs(server.database, flow, [run])
        with closing(sqlite3.connect(server.database, timeout=60)) as connection, connection:
            if state == "RUNNING":
                _mark(connection, ids, "start_time = expected_start_time")
            else:
                _mark(connection, ids, "state_name = 'Late', run_count = 0, auto_scheduled = 0")
                connection.execute("UPDATE flow_run_state SET name = 'Late' WHERE flow_run_id = ?", ids)


def _mark(connection: sqlite3.Connection, run_ids: Sequence[str], columns: str) -> None:
    connection.executemany(f"UPDATE flow_run SET {columns} WHERE id = ?", [(run_id,) for run_id in run_ids])


def _make_older(connection: sqlite3.Connection) -> None:
    """Move rows back, the newest least, a run with all that belongs to it. The future stays."""
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
    now = sqlite_time(datetime.now(UTC))

    def earlier(time: str | None) -> str | None:
        return time if time is None or time > now else sqlite_time(datetime.fromisoformat(f"{time}+00:00") - by)

    connection.create_function("earlier", 1, earlier)
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[2] == "DATETIME"]
    # A duration is held as a time, too.
    times = ", ".join(f"{name} = earlier({name})" for name in columns if name != "total_run_time")
    connection.execute(f"UPDATE {table} SET {times} WHERE {column} = ?", (value,))


if __name__ == "__main__":
    flows.main([])
    give_past(PrefectServer(os.environ["PREFECT_API_URL"], Path(os.environ["PREFECT_HOME"])))
