"""Log lines: by level, late, many of one time, a hundred thousand."""

import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from devtools.connector import State
from devtools.connector import read_here as read
from devtools.data.bulk import insert_logs
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Request, proxy
from source_prefect.reading import feeds

NOW = datetime.now(UTC).replace(microsecond=0)
# Requests: so many are not made.
MANY = 40
RUN, TASK_RUN = "d7d39d9d-dbbd-42f7-8f2c-4d37adde919b", "01a1f8bc-1e67-747f-b5ab-e330d2d71f14"


@pytest.fixture(scope="module")
def lines(server: PrefectServer) -> list[dict[str, Any]]:
    """The API's lines of a run, one of each level, in the order of their times."""
    levels = [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
    server.post(
        "logs/",
        [
            {
                "name": "prefect.task_runs",
                "level": level,
                "message": f"Größe 📦 {level}\nof the second line",
                "timestamp": (NOW - timedelta(days=400) + timedelta(seconds=level)).isoformat(),
                "flow_run_id": RUN,
                "task_run_id": TASK_RUN if level > logging.INFO else None,
            }
            for level in levels
        ],
    )
    found: list[dict[str, Any]] = server.post("logs/filter", {"sort": "TIMESTAMP_ASC"})
    assert [line["level"] for line in found] == levels
    return found


def test_whole_rows_from_info_on(server: PrefectServer, lines: list[dict[str, Any]]) -> None:
    with proxy(server.url) as counted:
        sync = read({"connection": {"type": "server", "api_url": counted.url}}, ["logs"]).ok()
    expected = [{key: value for key, value in line.items() if value is not None} for line in lines[1:]]
    assert sorted(sync.records["logs"], key=lambda row: int(row["level"])) == expected
    assert len(counted.log) < 70, "windows before the oldest line cost nothing"


def test_the_level_can_be_chosen(config: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    for level, expected in (("DEBUG", lines), ("ERROR", lines[3:])):
        sync = read({**config, "log_level": level}, ["logs"]).ok()
        assert sorted(sync.ids("logs")) == sorted(line["id"] for line in expected)


def test_more_than_a_page_of_one_time_comes_whole(server: PrefectServer, config: dict[str, Any]) -> None:
    at = NOW - timedelta(days=300)
    before = insert_logs(server.database, [at - timedelta(milliseconds=n) for n in range(1, 15)])
    tied = insert_logs(server.database, [at] * 45)
    after = insert_logs(server.database, [at + timedelta(seconds=1)])
    start = (at - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    ids = read({**config, "page_size": 10, "start_date": start}, ["logs"]).ok().ids("logs")
    assert sorted(ids) == sorted([*before, *tied, *after])


def test_a_later_sync_brings_new_lines_and_late_ones(server: PrefectServer) -> None:
    cursor = NOW - timedelta(hours=3)
    insert_logs(server.database, [cursor - timedelta(minutes=40)])
    late = insert_logs(server.database, [cursor - timedelta(minutes=50)], received=cursor + timedelta(minutes=5))
    new = insert_logs(server.database, [cursor + timedelta(hours=2)])
    with proxy(server.url) as counted:
        behind_proxy = {"connection": {"type": "server", "api_url": counted.url}}
        sync = read(behind_proxy, ["logs"], _state(cursor)).ok()
        assert sorted(sync.ids("logs")) == sorted([*late, *new])
        assert len(counted.log) == 1
        again = read(behind_proxy, ["logs"], sync.state).ok()
    assert again.ids("logs") == new


def test_a_server_whose_clock_is_ahead_is_read_to_its_present(server: PrefectServer) -> None:
    cursor = NOW + timedelta(days=2)
    ids = insert_logs(server.database, [cursor + timedelta(minutes=n) for n in range(3)])

    def ahead(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        answer.headers["date"] = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)
        return answer

    with proxy(server.url, ahead) as gate:
        config = {"connection": {"type": "server", "api_url": gate.url}}
        assert read(config, ["logs"], _state(cursor)).ok().ids("logs") == ids


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_a_sync_ends_although_more_lines_come_than_it_reads(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    begin = datetime.now(UTC) - timedelta(minutes=9)
    ids = insert_logs(server.database, [begin + timedelta(seconds=n) for n in range(30)])

    def flood(request: Request, forward: Forward) -> Answer:
        if len(counted.log) < MANY:
            now = datetime.now(UTC)
            ids.extend(insert_logs(server.database, [now - timedelta(milliseconds=n) for n in range(15)]))
        return forward(request)

    monkeypatch.setattr(feeds, "CLOCKS_APART", timedelta(0))
    with proxy(server.url, flood) as counted:
        config = {
            "connection": {"type": "server", "api_url": counted.url},
            "start_date": begin.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "page_size": 10,
        }
        first = read(config, ["logs"], None if is_first else _state(begin)).ok()
        assert len(counted.log) < MANY
        counted.behaviour = lambda request, forward: forward(request)
        monkeypatch.undo()
        second = read(config, ["logs"], first.state).ok()
    assert set(first.ids("logs")) >= set(ids[:30])
    assert set(first.ids("logs")) | set(second.ids("logs")) >= set(ids)


def test_lines_of_a_time_when_the_server_was_ahead_come_at_once(server: PrefectServer, config: dict[str, Any]) -> None:
    cursor = datetime.now(UTC)
    ids = insert_logs(server.database, [cursor + timedelta(hours=20, seconds=n) for n in range(40)])
    assert set(read({**config, "page_size": 10}, ["logs"], _state(cursor)).ok().ids("logs")) >= set(ids)


def test_a_sync_that_fails_is_resumed_where_it_stopped(server: PrefectServer) -> None:
    begin = NOW - timedelta(days=100)
    ids = insert_logs(server.database, [begin + timedelta(hours=n) for n in range(24 * 60)])
    start = (begin - timedelta(days=1)).isoformat().replace("+00:00", "Z")

    def broken(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        return Answer(403) if any(line["id"] == ids[1_000] for line in answer.rows) else answer

    with proxy(server.url, broken) as counted:
        config = {
            "connection": {"type": "server", "api_url": counted.url},
            "start_date": start,
            "num_workers": 1,
            "page_size": 200,
        }
        failed = read(config, ["logs"])
        assert failed.exit_code == 1
        counted.behaviour = lambda request, forward: forward(request)
        counted.log.clear()
        resumed = read(config, ["logs"], failed.state).ok()
    assert set(ids) <= {*failed.ids("logs"), *resumed.ids("logs")}
    assert not set(ids[:600]) & set(resumed.ids("logs")), "the first weeks are not read again"


@pytest.mark.slow
def test_the_last_page_of_a_hundred_thousand_lines_costs_as_much_as_the_first(server: PrefectServer) -> None:
    count = 100_000
    begin = NOW - timedelta(days=20)
    ids = insert_logs(server.database, [begin + timedelta(seconds=10 * n) for n in range(count)])
    # Seconds of the server: for pages, and for looks at one row, where a window ends.
    pages: list[float] = []
    looks: list[float] = []
    offsets: set[int] = set()

    def timed(request: Request, forward: Forward) -> Answer:
        began = time.monotonic()
        answer = forward(request)
        seconds = time.monotonic() - began
        if len(answer.rows) > 1:
            pages.append(seconds)
            offsets.add(request.body.get("offset", 0))
        else:
            looks.append(seconds)
        return answer

    with proxy(server.url, timed) as gate:
        config = {"connection": {"type": "server", "api_url": gate.url}, "num_workers": 1}
        start = (begin - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
        sync = read({**config, "start_date": start}, ["logs"]).ok()
    # The lines of the other tests are younger than this test's first one, too.
    assert set(ids) <= set(sync.ids("logs"))
    assert len(set(sync.ids("logs"))) == len(sync.ids("logs"))
    # Of fifty pages the fifth fastest: it tells least of what else the machine does.
    first, last = sorted(pages[:50])[4], sorted(pages[-51:-1])[4]
    print(f"{len(pages)} pages in {sum(pages):.1f} s, {len(looks)} looks in {sum(looks):.1f} s; "
          f"a page costs {first * 1000:.0f} ms at first, {last * 1000:.0f} ms at last")  # fmt: skip
    assert last < 2 * first
    assert offsets == {0}, "an offset costs more the deeper it is"
    # Consecutive pages have one row in common; the first page is read twice.
    assert len(pages) <= count / 199 + 2
    assert len(looks) < len(pages) / 10
    assert sum(looks) < sum(pages) / 10


def _state(cursor: datetime) -> State:
    state = {"timestamp": cursor.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    return [{"stream": {"stream_descriptor": {"name": "logs"}, "stream_state": state}}]
