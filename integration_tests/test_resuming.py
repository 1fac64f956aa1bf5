"""A first sync of a long history that is killed: the next one continues where it was, and nothing is lost.

The rows after the oldest incomplete window are sent again. In a history that is spread evenly these
are, beyond what had not come yet, about as many windows as there are workers; nothing bounds it where one window holds
far more than the others, or where there are few windows.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.bulk import Run, history, insert_flow_runs, insert_task_runs
from devtools.connector import read, read_here
from devtools.server import PrefectServer
from integration_tests.seeding import make_flow

RUNS = 6_000
WEEKS = 60
EACH_WEEK = RUNS // WEEKS


@pytest.fixture(scope="module")
def ids(server: PrefectServer) -> dict[str, list[str]]:
    """As many flow runs as task runs, spread evenly; of each week one was edited yesterday, and one just now.

    Were the cursor the latest `updated` of what was read, it would be in the present after the oldest week.
    """
    flow_runs = insert_flow_runs(server.database, make_flow(server), _edited_late())
    return {"flow_runs": flow_runs, "task_runs": insert_task_runs(server.database, flow_runs[0], _edited_late())}


def _edited_late() -> list[Run]:
    now = datetime.now(UTC)
    runs = list(history(RUNS, until=now - timedelta(hours=1), every=timedelta(weeks=WEEKS) / RUNS))
    for n in range(0, RUNS, EACH_WEEK):
        runs[n] = runs[n]._replace(updated=now - timedelta(days=1))
        runs[n + 1] = runs[n + 1]._replace(updated=now - timedelta(minutes=1))
    return runs


@pytest.mark.parametrize(
    ("stream", "settings", "killed_at"),
    [
        ("flow_runs", {}, 0.5),
        ("task_runs", {}, 0.5),
        # Late, for a sixth of the windows is under way at a time.
        ("flow_runs", {"num_workers": 20}, 0.9),
    ],
)
def test_after_a_kill_nothing_is_lost_and_at_most_60_percent_come_again(
    ids: dict[str, list[str]], config: dict[str, Any], stream: str, settings: dict[str, int], killed_at: float
) -> None:
    reader = config | settings
    killed = read(reader, [stream], killed_when=lambda sync: len(sync.records[stream]) >= killed_at * RUNS)
    assert killed.exit_code == -9
    assert len(killed.ids(stream)) < (killed_at + 0.05) * RUNS
    resumed = read_here(reader, [stream], killed.state).ok()
    # A destination may drop what came after the last state.
    kept = killed.ids(stream)[: killed.committed[stream]]
    print(f"killed at {killed_at:.0%} with {settings}: {len(resumed.ids(stream)) / RUNS:.1%} came again")
    assert {*kept, *resumed.ids(stream)} == set(ids[stream])
    assert len(resumed.ids(stream)) <= 0.6 * RUNS
