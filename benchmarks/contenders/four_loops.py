"""The limit: four bare loops side by side, each over a quarter of the time. Pages of 200 are
parsed and dropped.

A first sync asks for the rows at or before the last row's time, newest first. A later sync is one
loop, back to the newest end that the first one saw. It misses rows that change otherwise, and has
neither checks nor states.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import orjson
import requests

from benchmarks.contenders import Span, main

PAGE = 200
LOOPS = 4

Bounds = dict[str, str]


def read(url: str, table: str, cursor: str, _: Span) -> tuple[int, str]:
    if cursor:
        return _loop(url, table, "end_time", {"after_": cursor})
    with ThreadPoolExecutor(LOOPS) as pool:
        read = [*pool.map(partial(_loop, url, table, "expected_start_time"), _quarters(url, table))]
    return sum(rows for rows, _ in read), max(newest for _, newest in read)


def _quarters(url: str, table: str) -> Iterator[Bounds]:
    ends = (_page(url, table, {"sort": f"EXPECTED_START_TIME_{order}", "limit": 1}) for order in ("ASC", "DESC"))
    first, last = (datetime.fromisoformat(rows[0]["expected_start_time"]) for rows in ends)
    edges = [first - timedelta(seconds=1), *(first + n * (last - first) / LOOPS for n in range(1, LOOPS)), last]
    for start, end in pairwise(edges):
        yield {"after_": (start + timedelta(microseconds=1)).isoformat(), "before_": end.isoformat()}


def _loop(url: str, table: str, column: str, bounds: Bounds) -> tuple[int, str]:
    rows, tied, newest = 0, 0, bounds["after_"]
    with requests.Session() as session:
        while True:
            body = {"sort": f"{column.upper()}_DESC", "limit": PAGE, table: {column: bounds}}
            page = _page(url, table, body, session)
            rows += len(page) - tied
            newest = max([newest, *(row["end_time"] for row in page if row["end_time"])])
            if len(page) < PAGE:
                return rows, newest
            last = page[-1][column]
            tied = sum(row[column] == last for row in page)
            bounds = {**bounds, "before_": last}


def _page(url: str, table: str, body: dict[str, Any], session: Any = requests) -> list[dict[str, Any]]:
    answer = session.post(f"{url}/{table}/filter", json=body, timeout=600)
    answer.raise_for_status()
    page: list[dict[str, Any]] = orjson.loads(answer.content)
    return page


if __name__ == "__main__":
    main(read)
