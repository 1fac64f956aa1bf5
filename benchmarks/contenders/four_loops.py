"""What no reader in one thread can be faster than: keyset pages of 200, parsed and thrown away.

A first sync asks for the rows at or before the last row's time, newest first; a later one stops at the newest end
that it saw. It misses what changes otherwise, and is not prepared for a page whose rows all have the same time.
It cannot begin in the middle of a table, only end there.
"""

from typing import Any

import orjson
import requests

from benchmarks.contenders import Span, main

PAGE = 200


def read(url: str, table: str, cursor: str, span: Span) -> tuple[int, str]:
    column = "end_time" if cursor else "expected_start_time"
    session = requests.Session()
    rows, tied, newest = 0, 0, cursor
    bounds = {"after_": cursor} if cursor else {}
    while True:
        body: dict[str, Any] = {"sort": f"{column.upper()}_DESC", "limit": PAGE}
        if bounds:
            body[table] = {column: bounds}
        answer = session.post(f"{url}/{table}/filter", json=body, timeout=600)
        answer.raise_for_status()
        page = orjson.loads(answer.content)
        rows += len(page) - tied
        newest = max([newest, *(row["end_time"] for row in page if row["end_time"])])
        if len(page) < PAGE or (span[1] is not None and rows >= span[1]):
            return rows, newest
        last = page[-1][column]
        tied = sum(row[column] == last for row in page)
        bounds["before_"] = last


if __name__ == "__main__":
    main(read)
