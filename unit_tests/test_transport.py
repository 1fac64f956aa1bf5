"""What is retried, how often, and what ends it. Real servers' answers: integration_tests."""

import logging
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
import urllib3
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http.tcp_keepalive import TcpKeepaliveHTTPAdapter
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect import manifest
from source_prefect.http.gate import SessionClosedError
from source_prefect.http.session import Session
from source_prefect.http.transport import IN_A_SYNC, Transport
from source_prefect.settings.parse import parse
from source_prefect.settings.tls import TlsSettings

SPEC = manifest.load()["spec"]["connection_specification"]
API = "http://localhost:4200/api"
AT_ONCE = IN_A_SYNC._replace(pauses=(0.0,) * len(IN_A_SYNC.pauses))

Answer = int | str


class Server:
    """Gives the answers in order, then the last one forever: statuses, or a connection's error."""

    def __init__(self) -> None:
        self.answers: Iterator[Answer] = iter(())
        self.last: Answer = 200
        self.headers: dict[str, str] = {}
        self.requests = 0

    def will(self, *answers: Answer, **headers: str) -> None:
        self.answers, self.last, self.requests = iter(answers), answers[-1], 0
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        self.requests += 1
        answer = next(self.answers, self.last)
        if isinstance(answer, str):
            raise requests.ConnectionError(answer, request=request)
        response = requests.Response()
        response.status_code = answer
        response.url = str(request.url)
        response.headers.update(self.headers)
        response.raw = urllib3.HTTPResponse(BytesIO(b"[]"), preload_content=False)
        return response


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(TcpKeepaliveHTTPAdapter, "send", server.send)
    return server


@pytest.fixture
def transport() -> Transport:
    return Transport(lambda: API, TlsSettings(), workers=4, per_minute=None, patience=AT_ONCE)


def ask(transport: Transport) -> int:
    return transport.send(requests.Request("POST", f"{API}/flows/filter", json={}).prepare()).status_code


@pytest.mark.parametrize("bad", [408, 425, 500, 502, 503, 504])
def test_what_may_succeed_later_is_sent_six_times_in_all(server: Server, transport: Transport, bad: int) -> None:
    server.will(*[bad] * 5, 200)
    assert (ask(transport), server.requests) == (200, 6)
    server.will(bad)
    assert (ask(transport), server.requests) == (bad, 6)


@pytest.mark.parametrize("answer", [200, 400, 401, 403, 404, 405, 422])
def test_an_answer_that_will_not_change_is_not_asked_for_again(
    server: Server, transport: Transport, answer: int
) -> None:
    server.will(answer)
    assert (ask(transport), server.requests) == (answer, 1)


def test_a_429_is_sent_again_when_its_wait_is_over(server: Server, transport: Transport) -> None:
    server.will(*[429] * 5, 200, Retry_After="0.01")
    assert (ask(transport), server.requests) == (200, 6)


@pytest.mark.parametrize("answer", [429, 503])
def test_a_wait_of_0_s_takes_as_long_as_without_that_wish(
    server: Server, answer: int, caplog: pytest.LogCaptureFixture
) -> None:
    patience = AT_ONCE._replace(pauses=(0.01, 0.02))
    server.will(answer, Retry_After="0")
    with caplog.at_level(logging.INFO, logger="airbyte"):
        assert ask(Transport(lambda: API, TlsSettings(), 4, None, patience)) == answer
    waits = [message.rpartition(" in ")[2] for message in caplog.messages if "is sent again" in message]
    assert waits == ["0.01 s.", "0.02 s."]


def test_a_wait_of_more_than_ten_minutes_ends_the_tries(server: Server, transport: Transport) -> None:
    server.will(503, Retry_After="601")
    assert (ask(transport), server.requests) == (503, 1)


def test_a_server_that_never_answered_is_given_up_sooner(server: Server, transport: Transport) -> None:
    server.will("NewConnectionError: connection refused")
    with pytest.raises(AirbyteTracedException, match="Could not connect to localhost:4200") as raised:
        ask(transport)
    assert (raised.value.failure_type, server.requests) == (FailureType.config_error, 4)


@pytest.mark.parametrize("error", ["NewConnectionError: connection refused", "connection reset"])
def test_a_server_that_has_answered_before_may_restart(server: Server, transport: Transport, error: str) -> None:
    ask(transport)
    server.will(*[error] * 5, 200)
    assert (ask(transport), server.requests) == (200, 6)
    server.will(error)
    with pytest.raises(AirbyteTracedException, match=r"^Gave up after several tries\.") as raised:
        ask(transport)
    assert (raised.value.failure_type, server.requests) == (FailureType.transient_error, 6)


def test_a_redirect_is_not_followed_and_its_target_is_named_without_secrets(
    server: Server, transport: Transport
) -> None:
    server.will(302, Location="https://user:password@login.example.com/sign-in?token=secret#top")
    with pytest.raises(AirbyteTracedException, match=r"redirects to https://login.example.com/sign-in, which"):
        ask(transport)
    assert server.requests == 1


def test_it_outlives_a_session_of_requests_that_closes_it(server: Server, transport: Transport) -> None:
    transport.close()
    assert (ask(transport), server.requests) == (200, 1)


def test_after_the_end_of_a_command_nothing_is_sent(server: Server, transport: Transport) -> None:
    transport.limit("account", 60)
    transport.end()
    for url in (API, f"{API}/accounts/account/workspaces/w/flows/filter"):
        with pytest.raises(SessionClosedError):
            transport.send(requests.Request("GET", url).prepare())
    assert server.requests == 0


@pytest.mark.usefixtures("server")
def test_an_account_with_a_limit_waits_alone(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_prefect.http.gate._MINUTE", 0.5)
    transport.limit("a", 1)

    def seconds(account: str) -> float:
        began = time.monotonic()
        for _ in range(2):
            transport.send(requests.Request("POST", f"{API}/accounts/{account}/workspaces/w/flows/filter").prepare())
        return time.monotonic() - began

    assert seconds("b") < 0.5 <= seconds("a")


def test_the_clock_of_the_server_is_in_every_answer(server: Server, transport: Transport) -> None:
    assert transport.clock.now is None
    server.will(404, Date="Fri, 20 Nov 2026 12:00:00 GMT")
    ask(transport)
    assert f"{transport.clock.now:%Y-%m-%d %H:%M}" == "2026-11-20 12:00"


@pytest.mark.parametrize(
    ("api_url", "auth_string", "warnings"),
    [
        ("http://prefect.example.com/api", "admin:pass", 1),
        ("http://prefect.example.com/api", "", 0),
        ("https://prefect.example.com/api", "admin:pass", 0),
        ("http://localhost:4200/api", "admin:pass", 0),
        ("http://prefect-server:4200/api", "admin:pass", 0),
    ],
)
def test_a_command_warns_once_of_credentials_that_travel_unencrypted(
    api_url: str, auth_string: str, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    connection = {"type": "server", "api_url": api_url, "auth_string": auth_string}
    with caplog.at_level(logging.WARNING, logger="airbyte"), Session(parse({"connection": connection}, SPEC), AT_ONCE):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        "The credentials for prefect.example.com travel unencrypted: its address begins with http://."
    ] * warnings
