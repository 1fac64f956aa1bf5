"""The result of each failure, and what the user reads. Waits for retries are only recorded."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from devtools.connector import Sync, read_here, run_here
from devtools.data.seeding import make_flow
from devtools.servers.faults import Waits, recorded_waits
from devtools.servers.prefect import PrefectServer, free_port, prefect_server
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on, proxy

# The CDK's backoff, and how many tries it comes to.
BACKOFF = [1, 2, 4, 8, 16]
TRIES = len(BACKOFF) + 1


@pytest.fixture(scope="module", autouse=True)
def _three_pages_of_flows(server: PrefectServer) -> None:
    for n in range(5):
        make_flow(server, f"flow-{n}")


@pytest.fixture
def all_waits() -> Iterator[Waits]:
    with recorded_waits() as recorded:
        yield recorded


@pytest.fixture
def waits(all_waits: Waits) -> list[float]:
    """The seconds between two tries: by default, or as the server asks."""
    return all_waits.retries


def _read_flows(gate: Proxy, behaviour: Behaviour) -> Sync:
    gate.behaviour = behaviour
    gate.log.clear()
    return read_here({"connection": {"type": "server", "api_url": gate.url}, "page_size": 2}, ["flows"])


def _always(answer: Answer) -> Behaviour:
    return lambda _request, _forward: answer


def _once_on_the_second_page(answer: Answer) -> Behaviour:
    """That answer to one request in the middle of a stream."""
    given: list[Request] = []

    def behave(request: Request, forward: Forward) -> Answer:
        if request.body["offset"] == 1 and not given:
            given.append(request)
            return answer
        return forward(request)

    return behave


def _error(sync: Sync) -> tuple[str, str]:
    """The failure type and the message of the stream that failed."""
    assert sync.exit_code == 1
    error = next(error for error in sync.errors if error.get("stream_descriptor", {}).get("name") == "flows")
    return error["failure_type"], error["message"]


HTML = Answer(200, b"<!DOCTYPE html><html><title>Prefect Server</title></html>", {"Content-Type": "text/html"})

CONFIG_ERRORS = [
    (Answer(401, b'{"exception_message":"Unauthorized"}'), "rejected the credentials (401)", 1),
    (Answer(403, b'{"detail":"Forbidden"}'), "gave no access (403)", 1),
    (Answer(404, b'{"detail":"Not Found"}'), "no Prefect API at {url}/flows/filter (404)", 1),
    (Answer(405, b'{"detail":"Method Not Allowed"}'), "no Prefect API at {url}/flows/filter (405)", 1),
    (HTML, "{url}/flows/filter answered with a page of HTML", TRIES),
]


@pytest.mark.parametrize(("answer", "message", "tries"), CONFIG_ERRORS)
@pytest.mark.usefixtures("waits")
def test_what_the_configuration_has_to_mend(answer: Answer, message: str, tries: int, gate: Proxy) -> None:
    sync = _read_flows(gate, _always(answer))
    failure, text = _error(sync)
    assert failure == "config_error"
    assert message.format(url=gate.url) in text
    assert len(gate.log) == tries
    assert sync.records["flows"] == []
    check = run_here("check", {"connection": {"type": "server", "api_url": gate.url}})
    assert check[0]["connectionStatus"]["status"] == "FAILED"
    assert message.format(url=gate.url) in check[0]["connectionStatus"]["message"]


def test_an_address_error_says_what_addresses_look_like(gate: Proxy) -> None:
    _, text = _error(_read_flows(gate, _always(Answer(404))))
    assert "http://localhost:4200/api" in text
    assert "https://api.prefect.cloud/api" in text


TRANSIENT = {
    "500": Answer(500, b"Internal Server Error", {"Content-Type": "text/plain"}),
    "502": Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}),
    "503": Answer(503, b'{"exception_message":"Service Unavailable"}'),
    "504": Answer(504, b""),
    "reset": Answer(reset=True),
    "body cut short": Answer(200, b'[{"id": "00000000-0000-0000-0000-000000000000"}]', {}, cut_after=20),
    "empty body": Answer(200, b""),
    "broken JSON": Answer(200, b'[{"id": "0000'),
    "an object": Answer(200, b'{"detail": "something"}'),
    "null": Answer(200, b"null"),
    "a list of no rows": Answer(200, b'["id"]'),
}


@pytest.mark.parametrize("answer", TRANSIENT.values(), ids=list(TRANSIENT))
def test_a_passing_failure_is_got_over(answer: Answer, gate: Proxy, server: PrefectServer, waits: list[float]) -> None:
    sync = _read_flows(gate, _once_on_the_second_page(answer)).ok()
    assert sorted(sync.ids("flows")) == sorted(row["id"] for row in server.rows("flows"))
    assert waits == [1]


@pytest.mark.parametrize("answer", TRANSIENT.values(), ids=list(TRANSIENT))
def test_a_lasting_failure_is_an_error_and_never_an_empty_page(answer: Answer, gate: Proxy, waits: list[float]) -> None:
    def fail_from_the_second_page(request: Request, forward: Forward) -> Answer:
        return answer if request.body["offset"] else forward(request)

    sync = _read_flows(gate, fail_from_the_second_page)
    assert _error(sync)[0] == "transient_error"
    assert waits == BACKOFF
    # After a status of 5xx, a smaller and another page are asked for once each: one bad row may be
    # the reason.
    assert len(gate.log) == 1 + TRIES + (2 if answer.status >= 500 else 0)
    assert sync.statuses["flows"][-1] == "INCOMPLETE"
    # What was read is out, but the cursor has not moved: the next sync starts from the beginning.
    assert len(sync.records["flows"]) == 2
    gate.behaviour = pass_on
    config = {"connection": {"type": "server", "api_url": gate.url}}
    assert len(read_here(config, ["flows"], sync.state).ok().ids("flows")) == 5


def _too_many(retry_after: str | None, **headers: str) -> Answer:
    asked = {"Retry-After": retry_after} if retry_after else {}
    return Answer(429, b'{"detail":"Too Many Requests"}', {"Content-Type": "application/json", **asked, **headers})


def _http_date(time: datetime) -> str:
    return format_datetime(time, usegmt=True)


def test_retry_after_is_obeyed(gate: Proxy, server: PrefectServer, all_waits: Waits) -> None:
    sync = _read_flows(gate, _once_on_the_second_page(_too_many("7"))).ok()
    assert len(sync.ids("flows")) == len(server.rows("flows"))
    assert all_waits == Waits(gate=[7])


def test_retry_after_as_a_date_is_measured_on_the_clock_that_set_it(gate: Proxy, all_waits: Waits) -> None:
    years_ahead = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)
    until = _http_date(years_ahead + timedelta(seconds=30))
    _read_flows(gate, _once_on_the_second_page(_too_many(until, Date=_http_date(years_ahead)))).ok()
    assert all_waits == Waits(gate=[30])


@pytest.mark.parametrize("header", [None, "soon", "0"])
def test_without_a_useful_retry_after_it_backs_off_exponentially(
    header: str | None, gate: Proxy, waits: list[float]
) -> None:
    sync = _read_flows(gate, _always(_too_many(header)))
    assert _error(sync)[0] == "transient_error"
    assert waits == BACKOFF


def test_retry_after_of_a_server_that_restarts_is_obeyed(gate: Proxy, waits: list[float]) -> None:
    _read_flows(gate, _once_on_the_second_page(Answer(503, b"", {"Retry-After": "3"}))).ok()
    assert waits == [3]


# Where nothing answers


def _check_message(api_url: str) -> str:
    status = run_here("check", {"connection": {"type": "server", "api_url": api_url}})[0]["connectionStatus"]
    assert status["status"] == "FAILED"
    message: str = status["message"]
    return message


def test_a_refused_connection_names_host_and_reason_and_is_soon_given_up(waits: list[float]) -> None:
    port = free_port()
    message = _check_message(f"http://127.0.0.1:{port}/api")
    assert f"Could not connect to 127.0.0.1:{port}" in message
    assert "Connection refused" in message
    assert waits == BACKOFF[:1]


@pytest.mark.usefixtures("waits")
def test_an_unknown_host_is_named() -> None:
    message = _check_message("http://prefect.invalid/api")
    assert "Could not connect to prefect.invalid" in message
    assert "resolve" in message


def test_a_server_that_goes_away_is_waited_for(server: PrefectServer, waits: list[float]) -> None:
    """Once it has answered, its address is right: a refused connection is a passing failure."""
    with proxy(server.url) as stopping:

        def stop_after_one_page(request: Request, forward: Forward) -> Answer:
            answer = forward(request)
            answer.headers["Connection"] = "close"
            stopping.close()
            return answer

        sync = _read_flows(stopping, stop_after_one_page)
    failure, text = _error(sync)
    assert failure == "transient_error"
    assert "Could not connect" in text
    assert waits == BACKOFF


def test_plain_http_behind_https_is_named(gate: Proxy, waits: list[float]) -> None:
    message = _check_message(gate.url.replace("http://", "https://"))
    assert f"{gate.url.split('/')[2]} speaks plain http" in message
    assert waits == []


# Credentials


def test_a_server_with_credentials_takes_them_and_says_when_they_are_wrong() -> None:
    with prefect_server({"PREFECT_SERVER_API_AUTH_STRING": "admin:p:ss"}) as locked:
        connection = {"type": "server", "api_url": locked.url}
        wrong = run_here("check", {"connection": {**connection, "auth_string": "admin:guess"}})[0]["connectionStatus"]
        assert wrong["status"] == "FAILED"
        assert "rejected the credentials (401)" in wrong["message"]
        assert "guess" not in wrong["message"]
        right = run_here("check", {"connection": {**connection, "auth_string": "admin:p:ss"}})[0]["connectionStatus"]
        assert right["status"] == "SUCCEEDED"
