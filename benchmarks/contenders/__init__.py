"""The ways to read a table of runs that are measured against each other.

Each but the connector itself is a script: `python -m benchmarks.contenders.NAME URL TABLE STATE
[FIRST-END ...]`. It reads the table `flow_runs` or `task_runs` of the API at URL, goes on from the
cursor in the file STATE where there is one, and leaves its new cursor there. With spans it reads
only these rows, from FIRST to before END, for tables that it would take too long to read whole.
Its last line is a `Tally` as JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Tally:
    """What a contender tells: the rows it kept, and the wall and CPU seconds of its loop alone."""

    rows: int
    seconds: float
    cpu: float


# The rows to read, from the first to before the end; without an end, to the last row.
Span = tuple[int, int | None]

# Reads (url, table, cursor or "", span) and returns the number of rows that are new, and the new
# cursor.
Read = Callable[[str, str, str, Span], tuple[int, str]]


def _span(part: str) -> Span:
    first, end = part.split("-")
    return int(first), int(end)


def main(read: Read) -> None:
    url, table, state, *parts = sys.argv[1:]
    path = Path(state)
    cursor = newest = path.read_text() if path.exists() else ""
    spans = [_span(part) for part in parts] or [(0, None)]
    began, began_cpu = time.perf_counter(), time.process_time()
    rows = 0
    for span in spans:
        got, seen = read(url, table, cursor, span)
        rows, newest = rows + got, max(newest, seen)
    tally = Tally(rows, time.perf_counter() - began, time.process_time() - began_cpu)
    path.write_text(newest)
    print(json.dumps(asdict(tally)))
