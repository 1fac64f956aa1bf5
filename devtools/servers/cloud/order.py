"""END_TIME_DESC with unfinished runs first, as on PostgreSQL; a server on SQLite has them last."""

from collections.abc import Callable
from typing import Any

Body = dict[str, Any]
Ask = Callable[[str, Body], Any]

RUNS = {"flow_runs", "task_runs"}


def is_affected(table: str, body: Body) -> bool:
    """Whether the place of the unfinished runs shows in what a request asks for."""
    return table in RUNS and body.get("sort") == "END_TIME_DESC" and not (body.get(table) or {}).get("end_time")


def unfinished_first(table: str, body: Body, ask: Ask) -> list[Body]:
    """The rows of one page, put together from a server's two lists."""
    limit, offset = body.get("limit", 200), body.get("offset", 0)
    unfinished = _where(table, body, is_null_=True)
    rows: list[Body] = ask(f"{table}/filter", unfinished)
    if len(rows) < limit:
        before = offset + len(rows) if rows else ask(f"{table}/count", unfinished)
        rest = {"limit": limit - len(rows), "offset": max(0, offset - before)}
        rows += ask(f"{table}/filter", {**_where(table, body, is_null_=False), **rest})
    return rows


def _where(table: str, body: Body, *, is_null_: bool) -> Body:
    return {**body, table: {**(body.get(table) or {}), "end_time": {"is_null_": is_null_}}}
