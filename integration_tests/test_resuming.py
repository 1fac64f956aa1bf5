"""A first sync of a long history is killed: the next one continues there and loses nothing."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import read, read_here
from devtools.data.bulk import Run, history, insert_flow_runs, insert_task_runs
from devtools.data.seeding import make_flow
from devtools.servers.prefect import PrefectServer

RUNS = 6_000
WEEKS = 60
EACH_WEEK = RUNS // WEEKS


@pytest.fixture(scope="module")
def ids(server: PrefectServer) -> dict[str, list[str]]:
    """As many flow runs as task runs, spread evenly; of each week one was edited yesterday, and
    one just now.

    Were the cursor the latest `updated` of what was read, it would be in the present after the
    oldest week.
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
        ("flow_runs", {"num_workers": 20, "page_size": 20}, 0.9),
    ],
)
def test_after_a_kill_nothing_is_lost_and_at_most_a_page_of_each_worker_comes_again(
    ids: dict[str, list[str]], config: dict[str, Any], stream: str, settings: dict[str, int], killed_at: float
) -> None:
    reader = config | settings
    killed = read(reader, [stream], killed_when=lambda sync: len(sync.records[stream]) >= killed_at * RUNS)
    assert killed.exit_code == -9
    assert len(killed.ids(stream)) < (killed_at + 0.05) * RUNS
    resumed = read_here(reader, [stream], killed.state).ok()
    # A destination may drop what came after the last state.
    kept = killed.ids(stream)[: killed.committed[stream]]
    assert {*kept, *resumed.ids(stream)} == set(ids[stream])
    again = {*killed.ids(stream)} & {*resumed.ids(stream)} - edited(ids, stream)
    print(f"killed at {killed_at:.0%} with {settings}: {len(again)} came again")
    assert len(again) <= settings.get("num_workers", 4) * settings.get("page_size", 200)


def test_however_often_a_first_sync_is_killed_each_kill_costs_a_page_of_each_worker(
    ids: dict[str, list[str]], config: dict[str, Any]
) -> None:
    reader, state, sent = config | {"page_size": 50}, None, Counter[str]()
    for _ in range(10):
        killed = read(reader, ["flow_runs"], state, killed_when=lambda sync: len(sync.records["flow_runs"]) >= 500)
        assert killed.exit_code == -9
        sent.update(killed.ids("flow_runs"))
        state = killed.state
    sent.update(read_here(reader, ["flow_runs"], state).ok().ids("flow_runs"))
    assert sent.keys() == {*ids["flow_runs"]}
    again = {run: count - 1 for run, count in sent.items() if count > 1 and run not in edited(ids, "flow_runs")}
    print(f"killed ten times: {sum(again.values())} came again")
    assert sum(again.values()) <= 10 * 4 * 50


def edited(ids: dict[str, list[str]], stream: str) -> set[str]:
    """The runs that changed just now: they come again, for a transaction may last."""
    return {*ids[stream][1::EACH_WEEK]}
