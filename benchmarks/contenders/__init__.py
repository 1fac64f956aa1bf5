"""The ways to read a table of runs that are measured against each other.

Each but the connector itself is a script: `python -m benchmarks.contenders.NAME URL TABLE STATE [OFFSET ...]`. It
reads the table `flow_runs` or `task_runs` of the API at URL, goes on from the cursor in the file STATE where there is
one, and leaves its new cursor there. With offsets it reads only the PART rows that begin at each of them, for tables
that it would take hours to read whole. Its last line is a `Tally` as JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PART = 1000


@dataclass
class Tally:
    """What a contender tells of itself: the rows that it kept, and the wall and CPU seconds of its loop alone."""

    rows: int
    seconds: float
    cpu: float


# What to read, and from where to where; without an end, to the last row.
Span = tuple[int, int | None]

# Reads (url, table, cursor or "", span) and returns the number of rows that are new, and the new cursor.
Read = Callable[[str, str, str, Span], tuple[int, str]]


def main(read: Read) -> None:
    url, table, state, *offsets = sys.argv[1:]
    path = Path(state)
    cursor = newest = path.read_text() if path.exists() else ""
    spans: Sequence[Span] = [(int(offset), int(offset) + PART) for offset in offsets] or [(0, None)]
    began, began_cpu = time.perf_counter(), time.process_time()
    rows = 0
    for span in spans:
        got, seen = read(url, table, cursor, span)
        rows, newest = rows + got, max(newest, seen)
    tally = Tally(rows, time.perf_counter() - began, time.process_time() - began_cpu)
    path.write_text(newest)
    print(json.dumps(asdict(tally)))
