"""Two months of a data team's runs as the tables of a sync, without a server: the same rows every time."""

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

AS_OF = datetime(2026, 11, 20, 12, 0)
UI = "http://prefect.example.com"


class Pipeline(NamedTuple):
    """A flow, its one deployment if it has one, and how its runs use to go."""

    flow: str
    deployment: str | None
    every: timedelta
    seconds: float
    failing: float
    earlier_failing: float
    tags: str = "[]"


PIPELINES = (
    Pipeline("load-orders", "nightly", timedelta(hours=6), 240, 0.04, 0.02, '["nightly","owner:Ana"]'),
    Pipeline("refresh-marts", "hourly", timedelta(hours=1), 45, 0.01, 0.05, '["owner:Ben Müller"]'),
    Pipeline("sync-crm", "weekly", timedelta(days=1), 600, 0.35, 0.10),
    Pipeline("train-forecast", None, timedelta(days=1), 3000, 0.15, 0.15, '["owner:Ana"]'),
    Pipeline("<script>alert(1)</script>", 'it\'s "quoted"', timedelta(hours=12), 5, 0.0, 0.0),
)

# source, destination, by which flow; as the stream `lineage` splits names.
DECLARED = (
    ("shop.public.orders", "warehouse.staging.orders", 0),
    ("shop.public.customers", "warehouse.staging.orders", 0),
    ("warehouse.staging.orders", "postgres.warehouse.mart.customers", 1),
    ("crm.api.contacts", "warehouse.staging.contacts", 2),
    ("warehouse.staging.contacts", "postgres.warehouse.mart.customers", 1),
    ("warehouse.mart.customers", None, 3),
    (None, "warehouse.forecast.demand", 3),
)
OBSERVED = (
    ("postgres://prod/warehouse/staging/orders", "postgres://prod/warehouse/mart/customers", 1),
    ("s3://shop-exports/customers.parquet", "postgres://prod/warehouse/mart/customers", 1),
)


def write_warehouse(file: Path) -> None:
    """Write the tables into a new DuckDB file."""
    chance = random.Random(7)
    with duckdb.connect(str(file)) as connection:
        # One transaction: each would wait for the disk.
        connection.begin()
        connection.execute("CREATE TABLE flows (id VARCHAR, name VARCHAR, tags VARCHAR, ui_url VARCHAR)")
        connection.execute(
            "CREATE TABLE deployments (id VARCHAR, flow_id VARCHAR, name VARCHAR, tags VARCHAR, ui_url VARCHAR)"
        )
        connection.execute(
            "CREATE TABLE flow_runs (id VARCHAR, name VARCHAR, created TIMESTAMP, flow_id VARCHAR, "
            "deployment_id VARCHAR, state_type VARCHAR, state_name VARCHAR, state_message VARCHAR, "
            "auto_scheduled BOOLEAN, expected_start_time TIMESTAMP, start_time TIMESTAMP, end_time TIMESTAMP, "
            "run_count BIGINT, total_run_time DECIMAL(38, 9), ui_url VARCHAR, _airbyte_extracted_at TIMESTAMP)"
        )
        connection.execute("CREATE TABLE task_runs (id VARCHAR, flow_run_id VARCHAR, run_count BIGINT)")
        runs: list[tuple[Any, ...]] = []
        for number, pipeline in enumerate(PIPELINES):
            flow, deployment = f"flow-{number}", f"deployment-{number}" if pipeline.deployment else None
            connection.execute(
                "INSERT INTO flows VALUES (?, ?, ?, ?)",
                [flow, pipeline.flow, "[]" if deployment else pipeline.tags, f"{UI}/flows/flow/{flow}"],
            )
            if deployment:
                connection.execute(
                    "INSERT INTO deployments VALUES (?, ?, ?, ?, ?)",
                    [deployment, flow, pipeline.deployment, pipeline.tags, f"{UI}/deployments/deployment/{deployment}"],
                )
            runs += _runs(chance, pipeline, flow, deployment)
        connection.executemany(f"INSERT INTO flow_runs VALUES ({', '.join('?' * 16)})", runs)
        connection.executemany(
            "INSERT INTO task_runs VALUES (?, ?, ?)",
            [(f"task-of-{run[0]}", run[0], chance.choice((1, 1, 1, 2, 3))) for run in runs if run[10]],
        )
        _write_lineage(connection)
        connection.commit()


def _runs(chance: random.Random, pipeline: Pipeline, flow: str, deployment: str | None) -> list[tuple[Any, ...]]:
    runs: list[tuple[Any, ...]] = []
    due = AS_OF - timedelta(days=60) + timedelta(minutes=chance.randrange(60))
    while due < AS_OF + pipeline.every:
        run_id = f"{flow}-run-{len(runs)}"
        start = due + timedelta(seconds=chance.expovariate(1 / 8))
        end = start + timedelta(seconds=pipeline.seconds * chance.lognormvariate(0, 0.4))
        failing = pipeline.failing if due > AS_OF - timedelta(days=30) else pipeline.earlier_failing
        state, message = "COMPLETED", None
        # The CRM has been down for three days.
        if chance.random() < failing or (flow == "flow-2" and AS_OF - due < timedelta(days=3)):
            state, message = chance.choice((("FAILED", "CRM answered 503 <b>„Wartung“</b>"), ("CRASHED", "Killed")))
        elif chance.random() < 0.01:
            state, message = "CANCELLED", "Cancelled by Ana"
        times: tuple[datetime | None, datetime | None] = (start, end)
        if due > AS_OF:
            state, times = "SCHEDULED", (None, None)
        elif end > AS_OF or (flow == "flow-3" and AS_OF - due < timedelta(days=1)):
            state, message, times = "RUNNING", None, (start, None)
        runs.append(
            (run_id, f"run-{len(runs)}", due - timedelta(hours=1), flow, deployment, state, state.title(), message,
             deployment is not None, due, *times, chance.choice((1, 1, 1, 1, 2)) if times[0] else 0,
             round((end - start).total_seconds(), 6) if times[1] else 0, f"{UI}/runs/flow-run/{run_id}", AS_OF)
        )  # fmt: skip
        due += pipeline.every
    return runs


def _write_lineage(connection: duckdb.DuckDBPyConnection) -> None:
    sides = ", ".join(f"{side}{part} VARCHAR" for side in ("source", "destination") for part in _PARTS)
    connection.execute(
        f"CREATE TABLE lineage ({sides}, flow_id VARCHAR, deployment_id VARCHAR, flow_name VARCHAR, ui_url VARCHAR)"
    )
    for source, destination, number in DECLARED:
        pipeline = PIPELINES[number]
        connection.execute(
            f"INSERT INTO lineage VALUES ({', '.join('?' * 12)})",
            [*_split(source), *_split(destination), f"flow-{number}",
             f"deployment-{number}" if pipeline.deployment else None, pipeline.flow,
             f"{UI}/flows/flow/flow-{number}"],
        )  # fmt: skip
    connection.execute(
        "CREATE TABLE asset_lineage (source VARCHAR, source_table VARCHAR, destination VARCHAR, "
        "destination_table VARCHAR, flow_name VARCHAR, flow_run_id VARCHAR, occurred TIMESTAMP)"
    )
    for source, destination, number in OBSERVED:
        for days in (2, 1):
            connection.execute(
                "INSERT INTO asset_lineage VALUES (?, ?, ?, ?, ?, ?, ?)",
                [source, _dotted(source), destination, _dotted(destination), PIPELINES[number].flow,
                 f"flow-{number}-run-{500 - days}", AS_OF - timedelta(days=days)],
            )  # fmt: skip


_PARTS = ("", "_database", "_schema", "_table")


def _split(name: str | None) -> list[str | None]:
    return [name, *(name.split(".")[-3:] if name else (None, None, None))]


def _dotted(key: str) -> str:
    return key.partition("://")[2].replace("/", ".")
