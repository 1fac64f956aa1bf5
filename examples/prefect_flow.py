"""Prefect copies itself: a flow that syncs Prefect into DuckDB or PostgreSQL, every hour.

    pip install airbyte prefect .
    python -m examples.prefect_flow prefect.duckdb

serves it: the schedule and each run are in Prefect's UI, and the runs are executed here. The
counts of each sync are an artifact, the tables are assets. In place of the file, the address of a
database is possible, best in TARGET: postgresql://user:password@localhost/warehouse.

It reads the Prefect that it runs on, or another one: that of a config of the connector, whose path
is in CONFIG. None of this is a parameter of the flow, because Prefect shows parameters to
everyone.

For a work pool, deploy it in place of serving it, with
`sync_prefect.from_source(...).deploy(...)`.
"""

import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from examples.connect import copy, prefect, warehouse  # isort: skip - it quietens what PyAirbyte says when it is imported

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.assets import add_asset_metadata, materialize


def asset_key(target: str, table: str) -> str:
    """`postgres://host/database/prefect/table`, without a user and password, or `duckdb://path/table`."""
    address = urlsplit(target)
    place = f"{address.hostname}{address.path}/prefect" if address.hostname else str(Path(target).resolve()).lstrip("/")
    return f"{'postgres' if address.hostname else 'duckdb'}://{place}/{table}"


@flow
def sync_prefect() -> dict[str, int]:
    """Read what has changed; how many rows each table has now."""
    target = os.environ.get("TARGET", "prefect.duckdb")
    config = os.environ.get("CONFIG")
    source = prefect(**json.loads(Path(config).read_text()) if config else {})
    tables = sorted(source.get_available_streams())
    keys = {table: asset_key(target, table) for table in tables}

    @materialize(*keys.values(), retries=2, retry_delay_seconds=60)
    def sync() -> dict[str, int]:
        cache = warehouse(target)
        copy(source, cache)
        rows = {table: len(cache[table]) for table in tables}
        for table, key in keys.items():
            add_asset_metadata(key, {"rows": rows[table]})
        return rows

    rows = sync()
    counts = [{"table": table, "rows": count} for table, count in rows.items()]
    create_table_artifact(counts, key="prefect-sync", description="The tables after the sync")
    return rows


if __name__ == "__main__":
    os.environ.setdefault("TARGET", sys.argv[1] if len(sys.argv) > 1 else "prefect.duckdb")
    # One at a time: a DuckDB file has one writer.
    sync_prefect.serve("hourly", interval=3600, limit=1)
