"""Ten syncs in any order: late tables, rows loaded after younger ones, names that change."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from devtools.data.made_up_rows import (
    DAY,
    HOUR,
    change,
    declared_edge,
    deployment,
    flow,
    materialization,
    planned,
    run,
    schedule,
)
from devtools.data.tables import Row, Tables

BEGIN = datetime(2026, 11, 9, 12)
SYNCS = 10
FLOWS = ("ingest", "mart", "report")
STREAMS = (
    *("flows", "deployments", "deployment_schedules", "flow_runs", "task_runs", "lineage", "asset_materializations"),
    *("change_log", "workspaces", "logs"),
)


def syncs(seed: int) -> Iterator[Tables]:
    """The destination's tables after each sync; after the last, all that was read is loaded."""
    random = Random(seed)
    # Tables that are chosen later than others.
    first_sync = {stream: random.choice([0, 0, 0, random.randrange(SYNCS)]) for stream in STREAMS}
    there: dict[str, dict[str, Row]] = defaultdict(dict)
    read: dict[str, dict[str, Row]] = defaultdict(dict)
    waiting: list[tuple[str, Row]] = []
    for number in range(SYNCS):
        now = BEGIN + number * DAY
        for stream, row in _changed(random, number, now):
            there[stream][row["id"]] = row
        is_last = number == SYNCS - 1
        loaded = waiting
        waiting = []
        for stream, rows in there.items():
            if number < first_sync[stream]:
                continue
            for id_, row in rows.items():
                if stream not in read or _without_time(read[stream].get(id_)) != row:
                    # Another connection, or a long sync, loads what it has read after this one.
                    late = random.random() < 0.2 and not is_last
                    (waiting if late else loaded).append((stream, {**row, "_airbyte_extracted_at": now}))
        for stream, row in loaded:
            known = read[stream].get(row["id"])
            # The destination keeps the row that was read last.
            if known is None or known["_airbyte_extracted_at"] <= row["_airbyte_extracted_at"]:
                read[stream][row["id"]] = row
        yield {stream: list(rows.values()) for stream, rows in read.items()}


def _without_time(row: Row | None) -> Row | None:
    return row and {name: value for name, value in row.items() if name != "_airbyte_extracted_at"}


def _changed(random: Random, number: int, now: datetime) -> Iterator[tuple[str, Row]]:
    """What a day has brought in Prefect."""
    for workspace in ("shop", "crm"):
        here = {"workspace_id": workspace}
        if number == 0:
            yield "workspaces", {"id": workspace, "name": workspace.upper(), **here}
        for name in FLOWS:
            for stream, row in _of_flow(random, number, now, f"{name}-{workspace}", name):
                yield stream, row | here


def _of_flow(random: Random, number: int, now: datetime, id_: str, name: str) -> Iterator[tuple[str, Row]]:
    if number == 0 or random.random() < 0.2:
        # Its owner and its page have changed.
        owner, page = random.choice(["Ana", "Ben"]), random.choice(["a", "b"])
        yield "flows", flow(name, id=id_, tags=f'["owner:{owner}"]', created=BEGIN, ui_url=f"http://{page}.example.com")
    # Every few days it is made again under its name.
    version = number // 4
    made = f"{id_}-deployment-{version}"
    if number % 4 == 0 or random.random() < 0.3:
        paused = random.random() < 0.2
        created = BEGIN + 4 * version * DAY
        called = "prod" if random.random() < 0.8 else "renamed"
        yield "deployments", deployment(id_, id=made, name=called, created=created, paused=paused, updated=now)
        yield "flow_runs", planned(id_, now + HOUR, id=f"{made}-next", deployment_id=made, created=now)
        plan = {"id": f"{made}-schedule", "deployment_id": made, "updated": created}
        yield "deployment_schedules", schedule(id_, schedule_cron="0 */6 * * *", is_active=not paused) | plan
        edge = declared_edge(f"src.{name}.events", f"dwh.{name}.daily", id_, made if version else None, name)
        yield "lineage", edge
    if number % 4 == 0 and version and random.random() < 0.5:
        old = f"{id_}-deployment-{version - 1}"
        yield "change_log", change(f"deleted-{old}", now - 2 * HOUR, old, action="deleted", field=None)
    for quarter in range(4):
        due = now - DAY + quarter * 6 * HOUR
        yield from _of_run(random, now, id_, made, due - timedelta(hours=due.hour % 6))


def _of_run(random: Random, now: datetime, id_: str, made: str, due: datetime) -> Iterator[tuple[str, Row]]:
    state = random.choices(["COMPLETED", "FAILED", "CRASHED", "CANCELLED", "RUNNING"], [12, 4, 1, 1, 1])[0]
    by_hand = random.random() < 0.1
    row = run(id_, due, state=state, took=None if state == "RUNNING" else timedelta(minutes=random.randrange(1, 90)),
              state_message=f"Row {random.randrange(100)}" if state == "FAILED" else None, updated=now)  # fmt: skip
    row |= {"deployment_id": None if by_hand else made, "auto_scheduled": not by_hand, "state_timestamp": due + HOUR}
    # An older server forgets the end of a failure.
    yield "flow_runs", row | ({"end_time": None} if state == "FAILED" and random.random() < 0.2 else {})
    task = f"{row['id']}-task"
    of_run = {name: row[name] for name in ("state_type", "state_name", "start_time", "end_time", "total_run_time")}
    yield (
        "task_runs",
        of_run | {"id": task, "name": task, "task_key": "load-0a1b", "flow_run_id": row["id"], "run_count": 2},
    )
    if state == "FAILED":
        line = {"id": f"{task}-log", "timestamp": due + HOUR, "level": 40, "message": f"{task} failed\nat once"}
        yield "logs", line | {"flow_run_id": row["id"]}
    if state == "COMPLETED" and random.random() < 0.3:
        key = f"postgres://prod/dwh/{id_.partition('-')[0]}/hourly"
        yield "asset_materializations", materialization(key, "succeeded", due + HOUR, id_, row["id"])
