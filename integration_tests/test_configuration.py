"""An invalid input gets its sentence, and the exit code and message that Airbyte requires."""

import base64
import json
import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings

from devtools.connector import COMMAND, catalog, run_here
from devtools.data.configs import API_KEY, CONFIG, NOBODY_LISTENS
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Forward, Proxy, Request, proxy
from source_prefect.cli import execute

ACCOUNT = "01234567-89ab-cdef-0123-456789abcdef"
WORKSPACE = "89abcdef-0123-4567-89ab-cdef01234567"
KEY = "pnu_0123456789+abcdef/="
AUTH_STRING = 'admin:pa"ss w/örd'
TOKEN = "token-of-the-proxy"

FLOWS = {"name": "flows"}

Messages = list[dict[str, Any]]
Command = Callable[..., tuple[int, Messages, str]]


@pytest.fixture
def command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command with these files, as the process does: exit code, messages, all output."""

    def run_it(name: str, *flags: str, **files: Any) -> tuple[int, Messages, str]:
        arguments = [name, *flags]
        for file, content in files.items():
            path = tmp_path / f"{file}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            arguments += [f"--{file}", str(path)]
        capfd.readouterr()
        code = execute(arguments)
        printed = capfd.readouterr()
        return code, [json.loads(line) for line in printed.out.splitlines()], printed.out + printed.err

    return run_it


def failed_check(messages: Messages) -> str:
    """The reason of the one failed status."""
    [status] = [message["connectionStatus"] for message in messages if message["type"] == "CONNECTION_STATUS"]
    assert status["status"] == "FAILED"
    assert [m for m in messages if m["type"] == "TRACE"] == []
    return str(status["message"])


def config_error(messages: Messages) -> str:
    """The text of the first error, which is a config error."""
    error = next(m["trace"]["error"] for m in messages if m["type"] == "TRACE" and m["trace"]["type"] == "ERROR")
    assert error["failure_type"] == "config_error"
    return str(error["message"])


@pytest.fixture(scope="module")
def streams() -> dict[str, Any]:
    return catalog(["flows", "variables"], "incremental")


@pytest.mark.parametrize(
    ("given_config", "sentence"),
    [
        ({}, "connection is missing: choose Prefect Cloud or Prefect Server."),
        (
            {"connection": {"type": "cloud", "api_key": KEY, "account_id": KEY, "workspace_id": WORKSPACE}},
            "connection.account_id holds an API key of Prefect Cloud: it belongs in api_key.",
        ),
        (
            '{"connection": {"type": "server", "api_url',
            "The config is not valid: Could not read json file {folder}/config.json: Unterminated string starting at: "
            "line 1 column 35 (char 34). Please ensure that it is a valid JSON.",
        ),
        (
            [KEY],
            "The config is not valid: The content of {folder}/config.json is not an object and therefore is not a "
            "valid config. Please ensure the file represent a config.",
        ),
    ],
)
def test_a_wrong_config_fails_the_check_and_is_a_config_error_elsewhere(
    tmp_path: Path, command: Command, streams: dict[str, Any], given_config: Any, sentence: str
) -> None:
    sentence = sentence.replace("{folder}", str(tmp_path))
    code, messages, printed = command("check", config=given_config)
    assert (code, failed_check(messages)) == (0, sentence)
    assert KEY not in printed
    for name, files in (("discover", {}), ("read", {"catalog": streams})):
        code, messages, printed = command(name, config=given_config, **files)
        assert (code, config_error(messages)) == (1, sentence)
        assert KEY not in printed
        assert [m["type"] for m in messages if m["type"] != "LOG"] == ["TRACE"]


def test_a_missing_file_is_named() -> None:
    """In a process of its own, so that nothing of the test's process helps."""
    for name, code in (("check", 0), ("discover", 1)):
        done = subprocess.run([*COMMAND, name, "--config", "no/such.json"], capture_output=True, text=True, check=False)
        [message] = [m for m in map(json.loads, done.stdout.splitlines()) if m["type"] != "LOG"]
        sentence = failed_check([message]) if name == "check" else config_error([message])
        assert sentence == "The config file no/such.json cannot be read: No such file or directory."
        assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            [
                {
                    "type": "STREAM",
                    "stream": {"stream_descriptor": {"name": "flows"}, "stream_state": {"updated": "soon"}},
                }
            ],
            "The state of the stream flows has 'soon' as `updated`, which is not a time such as "
            "2026-01-01T00:00:00.000000Z. Reset the stream to read it from the beginning.",
        ),
        (
            [{"type": "STREAM", "stream": {"stream_descriptor": FLOWS, "stream_state": {"updated": "2026-01-01"}}}],
            "The state of the stream flows has '2026-01-01' as `updated`, which is not a time such as ",
        ),
        ('[{"type":', "The state is not valid: Could not read json file"),
        (["flows"], 'The state is not valid: {folder}/state.json: the whole: "flows" is not of type "object"'),
        (
            [{"type": "STREAM", "stream": {"stream_descriptor": {}}}],
            "The state is not valid: {folder}/state.json: stream/stream_descriptor/name: ",
        ),
        (7, "The state is not valid: "),
    ],
)
def test_a_wrong_state_is_a_config_error(
    tmp_path: Path, command: Command, config: dict[str, Any], streams: dict[str, Any], state: Any, sentence: str
) -> None:
    code, messages, _ = command("read", config=config, catalog=streams, state=state)
    assert code == 1
    assert config_error(messages).startswith(sentence.replace("{folder}", str(tmp_path)))


@pytest.mark.parametrize(
    ("wrong", "field"), [("{", ""), ([], "the whole"), ({"streams": [{"stream": 7}]}, "streams/0/stream")]
)
def test_a_wrong_catalog_is_a_config_error(
    tmp_path: Path, command: Command, config: dict[str, Any], wrong: Any, field: str
) -> None:
    code, messages, _ = command("read", config=config, catalog=wrong)
    assert code == 1
    assert config_error(messages).startswith("The catalog is not valid: ")
    assert f"{tmp_path}/catalog.json" in config_error(messages)
    assert field in config_error(messages)


def test_a_legacy_state_is_not_used_without_a_word(
    command: Command, config: dict[str, Any], streams: dict[str, Any]
) -> None:
    state = [{"type": "LEGACY", "data": {"flows": {"updated": "2026-01-01T00:00:00Z"}}}]
    code, messages, _ = command("read", config=config, catalog=streams, state=state)
    assert code == 0
    assert any("holds a LEGACY state" in m["log"]["message"] for m in messages if m["type"] == "LOG")


def test_an_unknown_stream_is_named_after_the_others_are_read(command: Command, config: dict[str, Any]) -> None:
    known = catalog(["flows"], "incremental")
    unknown = json.loads(json.dumps(known["streams"][0]).replace('"flows"', '"flaws"'))
    code, messages, _ = command("read", config=config, catalog={"streams": [unknown, *known["streams"]]})
    assert code == 1
    assert config_error(messages).startswith("There is no stream flaws. Refresh the schema of the connection; the ")
    assert {m["state"]["stream"]["stream_descriptor"]["name"] for m in messages if m["type"] == "STATE"} == {"flows"}


def test_swapped_ids_are_suspected_where_cloud_does_not_find_the_workspace(server: PrefectServer) -> None:
    """Both are UUIDs; only Cloud can tell. Like Cloud, the proxy gives other addresses a 404."""
    with proxy(server.url, prefix=f"/api/accounts/{ACCOUNT}/workspaces/{WORKSPACE}") as cloud:
        connection = {"type": "cloud", "api_key": KEY, "api_url": f"{cloud.origin}/api"}
        right = {"connection": {**connection, "account_id": ACCOUNT, "workspace_id": WORKSPACE}}
        swapped = {"connection": {**connection, "account_id": WORKSPACE, "workspace_id": ACCOUNT}}
        assert run_here("check", right)[-1]["connectionStatus"] == {"status": "SUCCEEDED"}
        assert failed_check(run_here("check", swapped)) == (
            f"Prefect Cloud knows no workspace {ACCOUNT} in the account {WORKSPACE}, or "
            "the key's owner is not a member of it (404). Are the two ids swapped, or is one mistyped?"
        )


# Secrets


@pytest.fixture
def quiet_again() -> Iterator[None]:
    """Takes back what --debug does to the logs of this process."""
    yield
    for name in ("airbyte", "airbyte.SourcePrefect"):
        logging.getLogger(name).setLevel(logging.INFO)


@pytest.fixture
def parrot(server: PrefectServer) -> Iterator[Proxy]:
    """A server that sends back what it was sent, in every form, when it is asked for variables."""

    def behave(request: Request, forward: Forward) -> Answer:
        if request.path != "variables/filter":
            return forward(request)
        authorization = request.headers["Authorization"].partition(" ")[2]
        texts = [authorization, KEY, AUTH_STRING, TOKEN, str(dict(request.headers))]
        texts += [quote(text, safe="") for text in texts] + [base64.b64encode(text.encode()).decode() for text in texts]
        return Answer(418, json.dumps({"detail": texts, "message": " ".join(texts)}).encode())

    with proxy(server.url, behave, prefix=f"/api/accounts/{ACCOUNT}/workspaces/{WORKSPACE}") as running:
        yield running


@pytest.mark.usefixtures("quiet_again")
@pytest.mark.parametrize("kind", ["cloud", "server"])
def test_no_secret_is_printed_even_with_debug_logs_and_a_server_that_sends_it_back(
    command: Command, streams: dict[str, Any], parrot: Proxy, kind: str
) -> None:
    connections: dict[str, dict[str, Any]] = {
        "cloud": {"api_key": f" {KEY}\n", "account_id": ACCOUNT, "workspace_id": WORKSPACE, "api_url": parrot.origin},
        "server": {
            "api_url": parrot.url.replace("/api", "/x") + "/api",
            "auth_string": AUTH_STRING,
            "custom_headers": [{"name": "X-Token", "value": TOKEN}],
        },
    }
    if kind == "server":
        parrot.prefix = parrot.prefix.replace("/api", "/x") + "/api"
    config = {"connection": {"type": kind, **connections[kind]}}
    code, messages, printed = command("read", "--debug", config=config, catalog=streams)
    assert code == 1
    assert "Making outbound API request" in printed
    assert "Prefect answered 418" in printed
    assert any(m["type"] == "STATE" for m in messages)
    secrets = [KEY] if kind == "cloud" else [AUTH_STRING, TOKEN, AUTH_STRING.partition(":")[2]]
    for secret in secrets:
        basic = base64.b64encode(secret.encode()).decode()
        for form in (secret, basic, quote(secret, safe=""), quote(secret), quote(basic, safe="")):
            assert form not in printed
            assert json.dumps(form)[1:-1] not in printed


# Any config at all


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@example({"connection": {"type": "server", "api_url": NOBODY_LISTENS}})
@given(CONFIG)
def test_any_config_ends_in_one_sentence(given_config: dict[str, Any]) -> None:
    """A few of those that the unit test of `normalize` goes through, as the process meets them."""
    with impatient():
        sentence = failed_check(run_here("check", given_config))
        [answer] = run_here("discover", given_config)
    assert "Traceback" not in sentence
    assert API_KEY not in sentence
    if answer["type"] == "CATALOG":
        assert "127.0.0.1:9" in sentence
    else:
        assert config_error([answer]) == sentence
