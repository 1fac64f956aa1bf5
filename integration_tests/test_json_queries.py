"""The queries of docs/behavior.md on JSON text: run where there is a database, else parsed."""

import re

import duckdb
import psycopg2
import pytest
import sqlglot

from devtools.matrix.pythons import ROOT
from devtools.servers.postgres import postgres

SECTION = (ROOT / "docs" / "behavior.md").read_text().partition("\n## JSON as text\n")[2]
QUERIES = dict(re.findall(r"^\*\*(\w+)\*\*.*?```sql\n(.*?)```", SECTION, re.MULTILINE | re.DOTALL))
PARSED = {"Snowflake": "snowflake", "BigQuery": "bigquery", "S3": "trino"}

TABLE = "CREATE TABLE flow_runs (id VARCHAR, tags VARCHAR, parameters VARCHAR)"
ROWS = [
    ("1", '["nightly", "etl"]', '{"region": "Köln", "n": 1}'),
    ("2", '["nightly-2"]', '{"region": "Łódź"}'),
    ("3", "[]", "{}"),
]
FOUND = [("1", "Köln")]


def test_every_destination_has_a_query() -> None:
    assert QUERIES.keys() == {"DuckDB", "PostgreSQL", *PARSED}


def test_the_query_of_duckdb() -> None:
    with duckdb.connect() as connection:
        connection.execute(TABLE)
        connection.executemany("INSERT INTO flow_runs VALUES (?, ?, ?)", ROWS)
        assert connection.execute(QUERIES["DuckDB"]).fetchall() == FOUND


def test_the_query_of_postgresql() -> None:
    with postgres() as address, psycopg2.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.executemany("INSERT INTO flow_runs VALUES (%s, %s, %s)", ROWS)
        cursor.execute("CREATE INDEX ON flow_runs USING gin ((tags::jsonb))")
        cursor.execute(QUERIES["PostgreSQL"])
        assert cursor.fetchall() == FOUND


@pytest.mark.parametrize("destination", PARSED)
def test_the_queries_of_others_are_of_their_dialect(destination: str) -> None:
    parsed = sqlglot.parse_one(QUERIES[destination], dialect=PARSED[destination])
    assert not list(parsed.find_all(sqlglot.exp.Anonymous)), "a function that the dialect does not have"
