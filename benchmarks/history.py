"""Past runs, written by SQL into a Prefect server's database: one a minute, until an hour ago."""

import io
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

import psycopg2

from devtools.data.bulk import Columns, Run, flow_run_rows, history, insert, task_run_rows
from devtools.servers.prefect import PrefectServer

EVERY = timedelta(minutes=1)
UNFINISHED = 20
# Every so manieth run was renamed after the last one had ended.
RENAMED = 97

_CHUNK = 20_000


def fill(server: PrefectServer, database: Path | str, table: str, count: int) -> None:
    """Add `count` runs to `flow_runs` or `task_runs`; a few are unfinished, some renamed late."""
    until = datetime.now(UTC) - timedelta(hours=1)
    unfinished = (Run(until, None, state="RUNNING") for _ in range(UNFINISHED))
    finished = enumerate(history(count - UNFINISHED, until=until, every=EVERY))
    renamed_late = (
        run if number % RENAMED else run._replace(updated=until + number * timedelta(milliseconds=1))
        for number, run in finished
    )
    _write(server, database, table, chain(unfinished, renamed_late))


def add_recent(server: PrefectServer, database: Path | str, table: str, count: int) -> None:
    """Add runs that ended within the last hour, all of them after those of `fill`."""
    now = datetime.now(UTC)
    _write(server, database, table, history(count, until=now, every=timedelta(minutes=50) / count))


def _write(server: PrefectServer, database: Path | str, table: str, runs: Iterable[Run]) -> None:
    """Into a SQLite file, or into the PostgreSQL of an address."""
    flow_id = server.post("flows/", {"name": "benchmark"})["id"]
    if table == "flow_runs":
        rows = flow_run_rows(flow_id, runs)
    else:
        rows = task_run_rows(server.post("flow_runs/", {"flow_id": flow_id})["id"], runs)
    name = table.removesuffix("s")
    chunks = ({name: [run for run, _ in pairs], f"{name}_state": [state for _, state in pairs]} for pairs in _cut(rows))
    if isinstance(database, Path):
        for chunk in chunks:
            insert(database, chunk)
    else:
        _copy(database, chunks)


def _cut(rows: Iterator[tuple[Columns, Columns]]) -> Iterator[list[tuple[Columns, Columns]]]:
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


def _copy(address: str, chunks: Iterable[dict[str, list[Columns]]]) -> None:
    with closing(psycopg2.connect(address)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            # A run points to its state and the state to its run: no order of insertion satisfies
            # both.
            cursor.execute("SET session_replication_role = replica")
            for chunk in chunks:
                for table, rows in chunk.items():
                    text = io.StringIO("".join("\t".join(map(_text, row.values())) + "\n" for row in rows))
                    cursor.copy_expert(f"COPY {table} ({', '.join(rows[0])}) FROM STDIN", text)
            # What PostgreSQL does by itself, some minutes after so many new rows.
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")


def _text(value: Any) -> str:
    """A value in the text format of COPY; none of them has a character to be escaped."""
    if value is None:
        return r"\N"
    return f"{value.total_seconds()} s" if isinstance(value, timedelta) else str(value)
