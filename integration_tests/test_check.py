"""A check answers soon, whatever is wrong, and says which streams the key cannot read."""

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.connector import run_here
from devtools.data.bulk import history, insert_task_runs
from devtools.data.seeding import make_flow, make_run
from devtools.servers.prefect import PrefectServer, free_port
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on

# Without the start of the process, of about two seconds.
LONGEST = 12.5


@pytest.fixture(scope="module")
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def check(api_url: str) -> tuple[dict[str, Any], float]:
    began = time.monotonic()
    [message] = run_here("check", {"connection": {"type": "server", "api_url": api_url}})
    return message["connectionStatus"], time.monotonic() - began


def always(answer: Answer) -> Behaviour:
    return lambda _request, _forward: answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(401), "rejected the credentials (401)"),
        (Answer(403), "gave no access (403)"),
        (Answer(404), "There is no Prefect API at"),
        (Answer(200, b"<html>", {"Content-Type": "text/html"}), "a page of HTML"),
        (Answer(200, b"{}"), "holds no rows"),
        (Answer(500), "Prefect answered 500"),
        (Answer(429, b"", {"Retry-After": "3600"}), "asked to wait for 3600 s"),
        (Answer(503, b"", {"Retry-After": "60"}), "asked to wait for 60 s"),
        (Answer(trickle=1.0), "did not answer within 9 s"),
    ],
    ids=["401", "403", "404", "HTML", "no list", "500", "429", "503", "a trickling body"],
)
def test_a_wrong_answer_is_told_soon(gate: Proxy, answer: Answer, said: str) -> None:
    gate.behaviour = always(answer)
    status, seconds = check(gate.url)
    assert status["status"] == "FAILED"
    assert said in status["message"]
    assert seconds < LONGEST


def test_a_dead_address_is_told_within_five_seconds() -> None:
    status, seconds = check(f"http://127.0.0.1:{free_port()}/api")
    assert "Could not connect to 127.0.0.1" in status["message"]
    assert seconds < 5


def test_a_server_that_never_answers_is_told(silent: int) -> None:
    status, seconds = check(f"http://127.0.0.1:{silent}/api")
    assert (status["status"], "did not answer within 9 s" in status["message"]) == ("FAILED", True)
    assert seconds < LONGEST


def test_streams_that_the_key_may_not_read_are_named_and_no_failure(gate: Proxy) -> None:
    def without_automations(request: Request, forward: Forward) -> Answer:
        return Answer(403) if request.path.startswith(("automations", "events")) else forward(request)

    gate.behaviour = without_automations
    status, _ = check(gate.url)
    assert status["status"] == "SUCCEEDED"
    assert status["message"].startswith("Connected, but these streams cannot be read: asset_lineage (Prefect gave no")
    assert "automations (Prefect gave no access (403)" in status["message"]
    assert "flow_runs" not in status["message"]


def test_a_good_connection_needs_no_words(gate: Proxy) -> None:
    gate.behaviour = pass_on
    assert check(gate.url)[0] == {"status": "SUCCEEDED"}


def test_a_stream_is_tried_by_a_page_even_if_its_rows_make_no_record(server: PrefectServer, gate: Proxy) -> None:
    """Task runs without inputs have no dependencies: a check must not search all of them."""
    gate.behaviour = pass_on
    runs = history(1_000, until=datetime.now(UTC) - timedelta(days=1), every=timedelta(minutes=1))
    insert_task_runs(server.database, make_run(server, make_flow(server), "COMPLETED"), runs)
    before = len(gate.requests("task_runs/filter"))
    assert check(gate.url)[0] == {"status": "SUCCEEDED"}
    # The newest page of each of the two streams of task runs, and the oldest row.
    assert len(gate.requests("task_runs/filter")) - before <= 4
