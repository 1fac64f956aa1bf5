"""What a page costs at a table's beginning and at its far end, asked for again, one by one."""

from collections.abc import Sequence
from datetime import datetime
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import requests

from benchmarks.latency import Taken

_TIMES = 7


class PagePrice(NamedTuple):
    """Seconds of the first page, and of the one that lies deepest in the table."""

    first: float
    deepest: float


def price(url: str, table: str, taken: Sequence[Taken]) -> PagePrice:
    """The prices of two of the pages that a sync asked of the API at `url`."""
    largest = max(request.size for request in taken)
    # Probes, and pages that are nearly empty, cost less.
    full = [request for request in taken if request.size > 0.8 * largest]
    deepest = max(full, key=lambda request: _depth(request.body, table))
    return PagePrice(_seconds(url, full[0]), _seconds(url, deepest))


def _depth(body: dict[str, Any], table: str) -> tuple[int, float]:
    """Greater for what comes later in a scan by offset, or, in one by time, for what is older."""
    bounds = body.get(table, {}).values()
    before = next((span["before_"] for span in bounds if "before_" in span), None)
    return body.get("offset", 0), -datetime.fromisoformat(before).timestamp() if before else float("-inf")


def _seconds(url: str, request: Taken) -> float:
    address = url.removesuffix("/api") + request.path
    with requests.Session() as session:
        return median(_once(session, address, request.body) for _ in range(_TIMES))


def _once(session: requests.Session, address: str, body: Any) -> float:
    began = perf_counter()
    session.post(address, json=body, timeout=600).raise_for_status()
    return perf_counter() - began
