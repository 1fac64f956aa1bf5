from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from source_prefect.pagination import Row, Rows
from source_prefect.records.event_rows import state_transitions
from source_prefect.streams.events import EventRetriever
from source_prefect.sync.windows import Window
from source_prefect.times import BEGINNING, parse_time

# How far back to look for the previous transition.
LONGEST_SPELL = timedelta(days=13)


@dataclass
class StateTransitionRetriever(EventRetriever):
    """The changes of flow runs' states, each with the time when the run entered the former state.

    An event does not hold that time. It is the time of the previous transition, which may have been read long ago. So
    the transitions before those of a page are requested, for all of its runs at once.
    """

    def rows_of(self, rows: Rows) -> Iterable[Row]:
        transitions = [row for event in rows for row in state_transitions(event)]
        known: dict[str, Rows] = defaultdict(list)
        for row in [*transitions, *self._before(transitions)]:
            known[row["flow_run_id"]].append(row)
        for row in transitions:
            yield {**row, "from_state_since": _since(row, known[row["flow_run_id"]])}

    def _before(self, rows: Rows) -> Iterator[Row]:
        """Transitions of these runs, newest first, until each run has one before its first in `rows`."""
        first: dict[str, Row] = {}
        for row in rows:
            first.setdefault(row["flow_run_id"], row)
        missing = {run: _time(row) for run, row in first.items() if row["from_state_type"]}
        if not missing:
            return
        runs = {"id": [f"prefect.flow-run.{run}" for run in sorted(missing)]}
        oldest, until = min(missing.values()) - LONGEST_SPELL, max(missing.values())
        while missing:
            since = max(oldest, until - self.longest_window) if self.longest_window else oldest
            page = self.page(Window(since, until), order="DESC", resource=runs)
            for row in (row for event in page.rows for row in state_transitions(event)):
                yield row
                if _time(row) < missing.get(row["flow_run_id"], BEGINNING):
                    del missing[row["flow_run_id"]]
            last = _time(page.rows[-1]) if page.full else since
            if last in (until, oldest):
                return
            until = last


def _since(row: Row, of_the_run: Rows) -> str | None:
    """When the run entered the state that this transition leads from, where that is known."""
    earlier = [other for other in of_the_run if _time(other) < _time(row)]
    former = max(earlier, key=_time, default=None)
    if former is None or former["to_state_name"] != row["from_state_name"]:
        return None
    occurred: str = former["occurred"]
    return occurred


def _time(row: Row) -> datetime:
    return parse_time(row.get("occurred")) or BEGINNING
