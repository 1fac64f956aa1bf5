"""How most connectors read Prefect: all pages in every sync; the client filters by `updated`."""

import requests

from benchmarks.contenders import Span, main

PAGE = 100


def read(url: str, table: str, cursor: str, span: Span) -> tuple[int, str]:
    session = requests.Session()
    offset, end = span
    rows, newest = 0, cursor
    while end is None or offset < end:
        answer = session.post(f"{url}/{table}/filter", json={"limit": PAGE, "offset": offset}, timeout=600)
        answer.raise_for_status()
        page = answer.json()
        rows += sum(row["updated"] > cursor for row in page)
        newest = max([newest, *(row["updated"] for row in page)])
        if len(page) < PAGE:
            break
        offset += PAGE
    return rows, newest


if __name__ == "__main__":
    main(read)
