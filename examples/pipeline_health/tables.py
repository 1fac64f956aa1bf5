"""The tables of a sync, as views.sql expects them: whatever a sync left out is there, and empty."""

from pathlib import Path

import duckdb

# What views.sql reads, and no more.
TABLES = {
    "flows": {"id": "VARCHAR", "name": "VARCHAR", "tags": "VARCHAR", "ui_url": "VARCHAR"},
    "deployments": {"id": "VARCHAR", "name": "VARCHAR", "tags": "VARCHAR", "ui_url": "VARCHAR"},
    "flow_runs": {
        "id": "VARCHAR",
        "name": "VARCHAR",
        "created": "TIMESTAMP",
        "flow_id": "VARCHAR",
        "deployment_id": "VARCHAR",
        "state_type": "VARCHAR",
        "state_name": "VARCHAR",
        "state_message": "VARCHAR",
        "auto_scheduled": "BOOLEAN",
        "expected_start_time": "TIMESTAMP",
        "start_time": "TIMESTAMP",
        "end_time": "TIMESTAMP",
        "run_count": "BIGINT",
        "total_run_time": "DOUBLE",
        "ui_url": "VARCHAR",
        "_airbyte_extracted_at": "TIMESTAMP",
    },
    "task_runs": {"id": "VARCHAR", "flow_run_id": "VARCHAR", "run_count": "BIGINT"},
    "lineage": {
        "source": "VARCHAR",
        "source_database": "VARCHAR",
        "source_schema": "VARCHAR",
        "source_table": "VARCHAR",
        "destination": "VARCHAR",
        "destination_database": "VARCHAR",
        "destination_schema": "VARCHAR",
        "destination_table": "VARCHAR",
        "flow_id": "VARCHAR",
        "deployment_id": "VARCHAR",
        "flow_name": "VARCHAR",
        "ui_url": "VARCHAR",
    },
    "asset_lineage": {
        "source": "VARCHAR",
        "source_table": "VARCHAR",
        "destination": "VARCHAR",
        "destination_table": "VARCHAR",
        "flow_name": "VARCHAR",
        "flow_run_id": "VARCHAR",
        "occurred": "TIMESTAMP",
    },
}

VIEWS = Path(__file__).with_name("views.sql")


def open_health(database: Path, schema: str = "main") -> duckdb.DuckDBPyConnection:
    """A connection that knows the tables in this schema of the file, and the views. The file stays as it is."""
    if not database.exists():
        raise FileNotFoundError(f"There is no {database}: `make demo` writes one, and so does examples.to_duckdb.")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"ATTACH '{str(database).replace(chr(39), chr(39) * 2)}' AS synced (READ_ONLY)")
    for table, columns in TABLES.items():
        there = {
            str(name).lower()
            for (name,) in connection.execute(
                "SELECT column_name FROM duckdb_columns() WHERE database_name = 'synced' AND schema_name = ? "
                "AND lower(table_name) = ?",
                [schema, table],
            ).fetchall()
        }
        values = ", ".join(
            f"CAST({name if name in there else 'NULL'} AS {kind}) AS {name}" for name, kind in columns.items()
        )
        origin = f'FROM synced."{schema}".{table}' if there else "WHERE false"
        connection.execute(f"CREATE VIEW {table} AS SELECT {values} {origin}")
    connection.execute(VIEWS.read_text())
    return connection
