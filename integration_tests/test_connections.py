"""Servers that demand something: credentials, headers, a CSRF token, patience, smaller pages."""

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from devtools.connector import COMMAND, catalog, read, read_here
from devtools.matrix.versions import chosen_python
from devtools.servers.prefect import PrefectServer, prefect_server
from devtools.servers.proxy import Answer, Forward, Proxy, Request, pass_on, proxy
from integration_tests.connecting import assert_config_error, check, config

PASSWORD = "s3cr3t:with-colon"
AUTH_STRING = f"admin:{PASSWORD}"
BASIC = "Basic YWRtaW46czNjcjN0OndpdGgtY29sb24="

FLOWS = 120
WORKERS = 8


@pytest.fixture(scope="module")
def guarded() -> Iterator[PrefectServer]:
    """A server with Basic authentication, CSRF protection, and at most 50 rows a page."""
    settings = {
        "PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_DEFAULT_LIMIT": "50",
    }
    with prefect_server(settings, python=chosen_python()) as server:
        server.headers["Authorization"] = BASIC
        token = server.get("csrf-token?client=tests")["token"]
        server.headers |= {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "tests"}
        flow_ids = [server.post("flows/", {"name": f"flow-{n}"})["id"] for n in range(FLOWS)]
        for n in range(5):
            server.post("variables/", {"name": f"variable_{n}", "value": n})
            server.post("deployments/", {"name": f"deployment-{n}", "flow_id": flow_ids[0]})
            server.post("flow_runs/", {"flow_id": flow_ids[0], "state": {"type": "SCHEDULED"}})
        yield server


@pytest.fixture
def front(guarded: PrefectServer) -> Iterator[Proxy]:
    """The guarded server behind a proxy that counts, and fails as a test sets it up."""
    with proxy(guarded.url) as served:
        yield served


@pytest.fixture
def settings(front: Proxy) -> dict[str, Any]:
    return config(front, auth_string=AUTH_STRING)


# Credentials


def test_the_auth_string_opens_the_server(settings: dict[str, Any]) -> None:
    assert check(settings) == ""


@pytest.mark.parametrize("credentials", [{}, {"auth_string": f"admin:not-{PASSWORD}"}], ids=["none", "wrong"])
def test_rejected_credentials_are_a_config_error(front: Proxy, credentials: dict[str, str]) -> None:
    # The server checks the CSRF token first. This one is right, so that the credentials are what
    # is wrong.
    front.behaviour = with_csrf_token(front)
    assert "Prefect rejected the credentials (401)" in check(config(front, **credentials))
    assert_config_error(read_here(config(front, **credentials), ["flows"]), "Prefect rejected the credentials (401)")
    assert len(front.log) < 10


def test_rejected_credentials_are_told_from_a_missing_csrf_token(front: Proxy) -> None:
    """Without credentials there is no token either: the user hears of the credentials only."""
    assert "Prefect rejected the credentials (401)" in check(config(front))


def test_no_secret_leaves_the_process(front: Proxy) -> None:
    headers = [{"name": "X-Gate-Key", "value": "k3y-of-the-gate"}]
    sync = read(config(front, auth_string=AUTH_STRING, custom_headers=headers), ["flows"]).ok()
    printed = json.dumps([sync.logs, sync.states, sync.errors]) + sync.stderr
    token = front.requests("flows/filter")[-1].headers["Prefect-Csrf-Token"]
    assert not any(secret in printed for secret in (PASSWORD, BASIC.split()[1], "k3y-of-the-gate", token))


# A proxy that asks for headers

ACCESS = {"CF-Access-Client-Id": "1234.access", "CF-Access-Client-Secret": "5678"}


def only_with_access(request: Request, forward: Forward) -> Answer:
    """What Cloudflare Access does with a request that lacks its service token."""
    if all(request.headers.get(name) == value for name, value in ACCESS.items()):
        return forward(request)
    return Answer(403, b"<html>Forbidden</html>", {"Content-Type": "text/html"})


def as_setting(headers: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]


def test_custom_headers_pass_the_proxy(front: Proxy) -> None:
    front.behaviour = only_with_access
    opened = config(front, auth_string=AUTH_STRING, custom_headers=as_setting(ACCESS))
    assert check(opened) == ""
    assert len(read_here(opened, ["flows"]).ok().ids("flows")) == FLOWS
    # The request for the CSRF token has to pass the proxy as well.
    assert front.log[1].path.startswith("csrf-token")
    assert front.log[1].headers["CF-Access-Client-Secret"] == "5678"


def test_without_the_custom_headers_it_is_a_config_error(front: Proxy, settings: dict[str, Any]) -> None:
    front.behaviour = only_with_access
    assert "Prefect gave no access (403)" in check(settings)
    assert_config_error(read_here(settings, ["flows"]), "Prefect gave no access (403)")


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"name": "X Key", "value": "secret"}, "connection.custom_headers: 'X Key' is not a valid name of a header."),
        ({"name": "X-Key", "value": "a\nb"}, "connection.custom_headers[0].value contains a line break"),
        ({"name": "Content-Type", "value": "text/plain"}, "connection.custom_headers: Content-Type describes the body"),
    ],
)
def test_an_impossible_header_is_named(front: Proxy, header: dict[str, str], sentence: str) -> None:
    message = check(config(front, custom_headers=[header]))
    assert sentence in message
    assert front.log == []


# CSRF protection


def with_csrf_token(front: Proxy) -> Callable[[Request, Forward], Answer]:
    """Give each request a valid token, so that the test meets what lies behind the protection."""
    headers = {"Authorization": BASIC}
    answer = requests.get(f"{front.upstream.geturl()}/csrf-token?client=proxy", headers=headers, timeout=30)
    token = {"Prefect-Csrf-Token": answer.json()["token"], "Prefect-Csrf-Client": "proxy"}

    def behaviour(request: Request, forward: Forward) -> Answer:
        return forward(Request(request.method, request.path, {**request.headers, **token}, request.body, 0))

    return behaviour


def test_one_csrf_token_serves_all_streams(front: Proxy, settings: dict[str, Any], guarded: PrefectServer) -> None:
    sync = read_here({**settings, "num_workers": 8}).ok()
    for stream in ("flows", "deployments", "flow_runs", "variables"):
        expected = {row["id"] for row in guarded.post(f"{stream}/filter", {})}
        assert expected <= set(sync.ids(stream))
    tokens = [request for request in front.log if request.path.startswith("csrf-token")]
    assert len(tokens) == 1


def test_a_csrf_token_that_died_is_renewed(front: Proxy, settings: dict[str, Any]) -> None:
    """Someone else's token for the same client kills the connector's, just as its end does."""
    killed: list[Answer] = []

    def kill_one(request: Request, forward: Forward) -> Answer:
        if request.body and request.body.get("offset", 0) > 0 and not killed:
            client = request.headers["Prefect-Csrf-Client"]
            killed.append(forward(Request("GET", f"csrf-token?client={client}", {"Authorization": BASIC}, None, 0)))
        return forward(request)

    front.behaviour = kill_one
    sync = read_here(settings, ["flows"]).ok()
    assert killed[0].status == 200
    assert len(sync.ids("flows")) == len(set(sync.ids("flows"))) == FLOWS
    assert len([request for request in front.log if request.path.startswith("csrf-token")]) == 2


# Pages that an operator made smaller


def test_pages_become_as_small_as_the_operator_wants_them(front: Proxy, settings: dict[str, Any]) -> None:
    sync = read_here(settings, ["flows"]).ok()
    assert Counter(sync.ids("flows")) == Counter(set(sync.ids("flows")))
    assert len(sync.ids("flows")) == FLOWS
    # The first is asked twice: without the token, and with it.
    assert [request.body["limit"] for request in front.requests("flows/filter")] == [200, 200, 50, 50, 50]


def test_the_limit_may_fall_during_a_walk(front: Proxy, settings: dict[str, Any]) -> None:
    def lower_the_limit(request: Request, forward: Forward) -> Answer:
        if request.body and request.body["limit"] > 20 and request.body.get("offset", 0) > 0:
            return Answer(422, b'{"detail":"Invalid limit: must be less than or equal to 20."}')
        return forward(request)

    front.behaviour = lower_the_limit
    sync = read_here(settings, ["flows"]).ok()
    assert len(sync.ids("flows")) == len(set(sync.ids("flows"))) == FLOWS
    assert front.requests("flows/filter")[-1].body["limit"] == 20


# Redirects


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Another host, and the headers of the requests that reached it."""
    heard: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(dict(self.headers.items()))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[]")

        do_POST = do_GET  # noqa: N815  (the name that http.server looks for)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    host = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=host.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{host.server_port}", heard
    host.shutdown()
    host.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_named_and_not_followed(
    front: Proxy, stranger: tuple[str, list[dict[str, str]]], status: int
) -> None:
    target, heard = stranger
    location = f"{target}/login?state=secret"
    front.behaviour = lambda _request, _forward: Answer(status, b"", {"Location": location})
    message = check(config(front, auth_string=AUTH_STRING, custom_headers=as_setting(ACCESS)))
    assert f"redirects to {target}/login, which is not followed" in message
    assert "state=secret" not in message
    assert heard == []
    assert len(front.log) == 1


def test_a_redirect_fails_a_sync_with_a_config_error(front: Proxy, settings: dict[str, Any]) -> None:
    front.behaviour = lambda _request, _forward: Answer(301, b"", {"Location": "https://prefect.example.com/api"})
    assert_config_error(read_here(settings, ["flows"]), "redirects to https://prefect.example.com/api")


# Patience


def test_one_429_makes_all_streams_wait(front: Proxy, settings: dict[str, Any]) -> None:
    """Each 429, for three seconds, asks for one second: only one request at a time is retried."""
    refused: list[Request] = []
    begin: list[float] = []

    def busy(request: Request, forward: Forward) -> Answer:
        if not request.path.startswith("flow_runs") and not begin:
            return forward(request)
        begin[:] = begin or [time.monotonic()]
        if time.monotonic() - begin[0] > 3:
            return forward(request)
        refused.append(request)
        return Answer(429, b'{"detail":"slow down"}', {"Retry-After": "1"})

    front.behaviour = busy
    sync = read_here({**settings, "num_workers": WORKERS}).ok()
    assert len(sync.ids("flows")) == FLOWS
    assert len(sync.ids("flow_runs")) == len(set(sync.ids("flow_runs")))
    # A request of each worker may have been under way with the first 429; then one a second asks.
    assert len(refused) <= WORKERS + 3
    assert any("Prefect asked to slow down (429): all requests wait for 1 s." in line for line in sync.logs)


def test_max_requests_per_minute_is_kept(server: PrefectServer, tmp_path: Path) -> None:
    """A sync of all streams takes more than six requests: after six, it waits out the minute."""
    with proxy(server.url) as front:
        limited = {**config(front), "max_requests_per_minute": 6, "num_workers": 8}
        arguments = []
        for name, content in {"config": limited, "catalog": catalog(None, "full_refresh")}.items():
            (tmp_path / name).write_text(json.dumps(content))
            arguments += [f"--{name}", str(tmp_path / name)]
        with subprocess.Popen([*COMMAND, "read", *arguments], stdout=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 60
                while len(front.log) < 6 and time.monotonic() < deadline:
                    time.sleep(0.1)
                time.sleep(3)
                assert process.poll() is None
                assert len(front.log) == 6
            finally:
                process.kill()


# Without any of this


def test_a_server_without_protection_is_never_asked_for_a_token(server: PrefectServer) -> None:
    with proxy(server.url, pass_on) as front:
        read_here(config(front)).ok()
    assert front.log
    assert not any(request.path.startswith("csrf-token") for request in front.log)
