"""A server behind an identity proxy, which lets through who has a valid access token."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devtools.connector import read_here as read
from devtools.data.bulk import history, insert_flow_runs
from devtools.data.seeding import make_flow, make_one_of_everything, now
from devtools.servers.identity_provider import CLIENT_ID, CLIENT_SECRET, Tokens, token_server
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request
from devtools.servers.tls import issue, terminator
from integration_tests.connecting import check, config


@pytest.fixture(scope="module")
def runs(server: PrefectServer) -> list[str]:
    make_one_of_everything(server)
    times = history(300, until=now(), every=timedelta(hours=1))
    return insert_flow_runs(server.database, make_flow(server), times)


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    with token_server() as running:
        yield running


@pytest.fixture
def guarded(gate: Proxy, tokens: Tokens) -> Proxy:
    gate.log.clear()
    gate.behaviour = guard(tokens)
    return gate


def guard(tokens: Tokens, seconds: float = 3600.0, refusal: Answer | None = None) -> Any:
    """Lets through whoever has a token that is at most so old."""

    def behave(request: Request, forward: Forward) -> Answer:
        is_known = tokens.accepts(request.headers.get("Authorization"), seconds)
        return forward(request) if is_known else refusal or Answer(401, b"Who are you?")

    return behave


def oauth(tokens: Tokens, **changes: Any) -> dict[str, Any]:
    return {"token_url": tokens.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **changes}


def test_all_streams_and_questions_share_one_token(guarded: Proxy, tokens: Tokens, runs: list[str]) -> None:
    asked: dict[str, int] = {}

    def behave(request: Request, forward: Forward) -> Answer:
        answer: Answer = guard(tokens)(request, forward)
        asked[request.path] = answer.status
        return answer

    guarded.behaviour = behave
    settings = config(guarded, oauth=oauth(tokens), custom_headers=[{"name": "X-Team", "value": "data"}])
    assert check(settings) == ""
    tokens.asked.clear()
    sync = read(settings).ok()
    assert set(runs) <= set(sync.ids("flow_runs"))
    assert tokens.asked == [
        {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    ]
    # It asks for the time first.
    later = read(settings, ["flow_runs"], sync.state).ok()
    assert "health" in asked
    assert set(asked.values()) == {200}
    assert {request.headers.get("X-Team") for request in guarded.log} == {"data"}
    assert not any(text in json.dumps([vars(sync), vars(later)]) for text in (CLIENT_SECRET, *tokens.given))


def test_scope_and_audience_are_sent_where_they_are_set(guarded: Proxy, tokens: Tokens, runs: list[str]) -> None:
    assert runs
    assert check(config(guarded, oauth=oauth(tokens, scope="prefect.read", audience="https://prefect"))) == ""
    assert (tokens.asked[0]["scope"], tokens.asked[0]["audience"]) == ("prefect.read", "https://prefect")


def test_a_long_sync_renews_a_token_that_expires(guarded: Proxy, tokens: Tokens, runs: list[str]) -> None:
    tokens.lifetime = 1
    slow = guard(tokens)

    def behave(request: Request, forward: Forward) -> Answer:
        answer: Answer = slow(request, forward)
        answer.delay = 0.2
        return answer

    guarded.behaviour = behave
    sync = read({**config(guarded, oauth=oauth(tokens)), "page_size": 20}, ["flow_runs"]).ok()
    assert set(runs) <= set(sync.ids("flow_runs"))
    assert len(tokens.given) > 1


@pytest.mark.parametrize(
    "refusal", [Answer(401), Answer(302, headers={"Location": "https://login.example.com/?next=x"})]
)
def test_a_token_that_is_refused_early_is_renewed_once(
    guarded: Proxy, tokens: Tokens, runs: list[str], refusal: Answer
) -> None:
    """The provider says an hour, but the proxy thinks otherwise."""
    guarded.behaviour = guard(tokens, 0.5, refusal)
    sync = read({**config(guarded, oauth=oauth(tokens)), "page_size": 10, "num_workers": 4}, ["flow_runs"]).ok()
    assert set(runs) <= set(sync.ids("flow_runs"))
    guarded.behaviour = lambda _request, _forward: refusal
    before = len(tokens.asked)
    assert check(config(guarded, oauth=oauth(tokens)))
    assert 2 <= len(tokens.asked) - before <= 4


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"client_secret": "another secret"}, "/oauth2/token: it answered 401. Check token_url, client_id"),
        ({"token_url": "http://127.0.0.1:9/token"}, "http://127.0.0.1:9/token"),
        ({"token_url": "login.example.com"}, "connection.oauth.token_url is 'login.example.com'; it should look like"),
        ({"client_id": " "}, "connection.oauth.client_id is missing"),
    ],
)
def test_who_gets_no_token_is_told_why(guarded: Proxy, tokens: Tokens, changes: dict[str, str], sentence: str) -> None:
    said = check(config(guarded, oauth=oauth(tokens, **changes)))
    assert sentence in said
    assert "another secret" not in said


def test_a_provider_that_never_answers_ends_the_check(
    guarded: Proxy, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_prefect.http.oauth._TIMEOUT", (0.3, 0.3))
    tokens.delay = 1.0
    said = check(config(guarded, oauth=oauth(tokens)))
    assert f"There is no token from {tokens.url}: " in said
    assert "timed out" in said


def test_a_provider_that_fails_for_a_moment_is_asked_again(guarded: Proxy, tokens: Tokens, runs: list[str]) -> None:
    tokens.failures = [503, 429]
    sync = read(config(guarded, oauth=oauth(tokens)), ["flow_runs"]).ok()
    assert set(runs) <= set(sync.ids("flow_runs"))


def test_a_provider_that_is_down_fails_the_stream_in_a_sentence(
    guarded: Proxy, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_prefect.http.gate.Gate.pause", lambda *_: None)
    tokens.failures = [500] * 100
    sync = read(config(guarded, oauth=oauth(tokens)), ["flows"])
    sentence = f"There is no token from {tokens.url}: it answered 500. Check token_url"
    assert sentence in sync.errors[0]["message"]


@pytest.mark.parametrize("authority", ["ca_certificate", "of the machine"])
def test_a_provider_may_have_a_certificate_of_a_private_ca(
    guarded: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: str
) -> None:
    """Where `ca_certificate` is that of the server alone, the CAs of the machine still count."""
    ca, other = issue("Shop CA"), issue("Another CA")
    (tmp_path / "ca.pem").write_text(ca.pem)
    if authority == "of the machine":
        monkeypatch.setattr("source_prefect.settings.tls.DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "ca.pem"))
    pasted = ca if authority == "ca_certificate" else other
    with token_server(terminator(tmp_path, issue("login", ca, "127.0.0.1"))) as tokens:
        guarded.behaviour = guard(tokens)
        assert check(config(guarded, oauth=oauth(tokens), ca_certificate=pasted.pem)) == ""
        monkeypatch.undo()
        said = check(config(guarded, oauth=oauth(tokens), ca_certificate=other.pem))
        assert f"There is no token from {tokens.url}: TLS failed: " in said


@pytest.mark.parametrize(
    "more",
    [{"auth_string": "admin:password"}, {"custom_headers": [{"name": "authorization", "value": "Bearer x"}]}],
)
def test_a_request_has_one_authorization(guarded: Proxy, tokens: Tokens, more: dict[str, Any]) -> None:
    assert "exclude each other" in check(config(guarded, oauth=oauth(tokens), **more))
