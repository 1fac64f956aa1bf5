"""No command of a source object affects another one, and only the documented settings count."""

import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import (
    AirbyteMessage,
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalogSerializer,
    Status,
)

from devtools.connector import State, Sync, catalog, read_here, run, run_here
from devtools.data.bulk import history, insert_flow_runs, insert_logs, insert_task_runs
from devtools.data.seeding import execute, make_flow
from devtools.servers.cloud import Cloud, Workspace, cloud
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Proxy, pass_on
from integration_tests.connecting import assert_config_error
from source_prefect import SourcePrefect

LOGGER = logging.getLogger("airbyte")
NOW = datetime.now(UTC)
# Several pages of each kind of stream.
PAGE_SIZE, ROWS = 10, 35
STREAMS = ["flows", "flow_runs", "task_runs", "task_dependencies", "logs"]
INPUTS = '{"orders": [{"input_type": "parameter", "name": "orders"}]}'

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module", autouse=True)
def _rows(server: PrefectServer) -> None:
    flows = [make_flow(server, f"flow-{number}") for number in range(ROWS)]
    runs = insert_flow_runs(server.database, flows[0], history(ROWS, until=NOW, every=timedelta(hours=1)))
    insert_task_runs(server.database, runs[0], history(ROWS, until=NOW, every=timedelta(hours=1)))
    execute(server, "UPDATE task_run SET task_inputs = ?", INPUTS)
    insert_logs(server.database, [NOW - timedelta(hours=hours) for hours in range(ROWS)])


@pytest.fixture
def config(gate: Proxy) -> dict[str, Any]:
    gate.behaviour = pass_on
    return {"connection": {"type": "server", "api_url": gate.url}, "page_size": PAGE_SIZE}


def messages(
    source: SourcePrefect,
    config: Mapping[str, Any],
    streams: Sequence[str] = STREAMS,
    state: State = [],  # noqa: B006  (it is only read)
    *,
    sync_mode: str = "incremental",
) -> Iterator[AirbyteMessage]:
    """What `read` of a source object yields."""
    configured = ConfiguredAirbyteCatalogSerializer.load(catalog(streams, sync_mode))
    return source.read(LOGGER, config, configured, [_state(message) for message in state])


def read(source: SourcePrefect, config: Mapping[str, Any], *args: Any, **more: Any) -> Sync:
    return taken(messages(source, config, *args, **more))


def taken(printed: Iterator[AirbyteMessage]) -> Sync:
    sync = Sync()
    for message in printed:
        sync.take(_json(message))
    return sync


def rows(sync: Sync) -> Rows:
    """The rows of each stream, in an order of their own."""
    assert sync.records
    return {stream: sorted(found, key=lambda row: str(row["id"])) for stream, found in sync.records.items()}


def _json(message: AirbyteMessage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(AirbyteEntrypoint.airbyte_message_to_string(message))
    return found


def _state(message: dict[str, Any]) -> AirbyteStateMessage:
    return AirbyteStateMessageSerializer.load({"type": "STREAM", "stream": message["stream"]})


# One source object


def test_a_source_without_arguments_runs_every_command(config: dict[str, Any]) -> None:
    source = SourcePrefect()
    [spec] = [message["spec"] for message in run_here("spec")]
    assert source.spec(LOGGER).connectionSpecification == spec["connectionSpecification"]
    assert source.check(LOGGER, config).status == Status.SUCCEEDED
    [discovered] = [message["catalog"] for message in run_here("discover", config)]
    assert [stream.name for stream in source.discover(LOGGER, config).streams] == [
        stream["name"] for stream in discovered["streams"]
    ]
    assert rows(read(source, config)) == rows(read_here(config, STREAMS).ok())


def test_an_object_reads_again(config: dict[str, Any]) -> None:
    source, whole = SourcePrefect(), rows(read_here(config, STREAMS).ok())
    assert [rows(read(source, config)) for _ in range(3)] == [whole] * 3


def test_checks_in_threads_do_not_shorten_a_read(config: dict[str, Any]) -> None:
    source, whole = SourcePrefect(), rows(read_here(config, STREAMS).ok())
    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda _: source.check(LOGGER, config).status, range(4)))
    assert statuses == [Status.SUCCEEDED] * 4
    assert rows(read(source, config)) == whole


def test_checks_that_still_run_do_not_shorten_reads(config: dict[str, Any]) -> None:
    source, whole, is_read = SourcePrefect(), rows(read_here(config, STREAMS).ok()), threading.Event()

    def check_on() -> set[Status]:
        statuses = {source.check(LOGGER, config).status}
        while not is_read.is_set():
            statuses.add(source.check(LOGGER, config).status)
        return statuses

    with ThreadPoolExecutor(3) as threads:
        checks = [threads.submit(check_on) for _ in range(3)]
        try:
            found = [rows(read(source, config)) for _ in range(3)]
        finally:
            is_read.set()
    assert found == [whole] * 3
    assert [check.result() for check in checks] == [{Status.SUCCEEDED}] * 3


@pytest.mark.parametrize("command", ["spec", "check", "discover"])
def test_a_command_during_a_read_does_not_shorten_it(config: dict[str, Any], command: str) -> None:
    source, whole, sync = SourcePrefect(), rows(read_here(config, STREAMS).ok()), Sync()
    for number, message in enumerate(messages(source, config)):
        sync.take(_json(message))
        # Before the streams are built, while they are read, and towards the end.
        if number in (0, 10, 4 * ROWS):
            _ = source.spec(LOGGER) if command == "spec" else getattr(source, command)(LOGGER, config)
    assert rows(sync) == whole


def test_two_reads_of_one_object_at_the_same_time_do_not_mix(config: dict[str, Any], server: PrefectServer) -> None:
    later: dict[str, Any] = {
        "connection": {"type": "server", "api_url": server.url},
        "start_date": f"{NOW - timedelta(hours=10):%Y-%m-%dT%H:%M:%SZ}",
        "log_level": "ERROR",
    }
    expected = [rows(read_here(each, STREAMS).ok()) for each in (config, later)]
    assert len(expected[1]["flow_runs"]) < len(expected[0]["flow_runs"])
    source = SourcePrefect()
    reads = [(messages(source, each), Sync()) for each in (config, later)]
    under_way = list(reads)
    while under_way:
        for each in list(under_way):
            printed, sync = each
            if (message := next(printed, None)) is None:
                under_way.remove(each)
            else:
                sync.take(_json(message))
    assert [rows(sync) for _, sync in reads] == expected


def test_a_read_does_not_continue_where_another_one_ended(config: dict[str, Any]) -> None:
    source = SourcePrefect()
    first = read(source, config)
    later = read(source, config, STREAMS, first.state)
    assert len(later.ids("flow_runs")) < ROWS
    assert rows(read(source, config)) == rows(first)
    assert rows(read(source, config, STREAMS, first.state, sync_mode="full_refresh")) == rows(first)


def test_an_invalid_config_is_forgotten_with_its_command(config: dict[str, Any]) -> None:
    source, wrong = SourcePrefect(), {"connection": {"type": "cloud"}}
    assert "connection.api_key is missing" in (source.check(LOGGER, wrong).message or "")
    assert rows(read(source, config)) == rows(read_here(config, STREAMS).ok())
    assert "connection.api_key is missing" in (source.check(LOGGER, wrong).message or "")
    assert source.check(LOGGER, config).status == Status.SUCCEEDED


WORKSPACES = 80


@pytest.fixture(scope="module")
def front(server: PrefectServer) -> Iterator[Cloud]:
    with cloud([Workspace(server.url, f"Team {number}") for number in range(WORKSPACES)]) as running:
        yield running


def of_all(front: Cloud) -> dict[str, Any]:
    return {"connection": front.connection(account_id="", workspace_id="", workspaces=["all"]), "page_size": 20}


def test_a_check_of_many_workspaces_that_answer_soon_succeeds(front: Cloud) -> None:
    assert [message["connectionStatus"] for message in run("check", of_all(front))] == [{"status": "SUCCEEDED"}]


def test_a_check_of_many_workspaces_does_not_shorten_a_read(front: Cloud) -> None:
    source, config = SourcePrefect(), of_all(front)
    source.check(LOGGER, config)
    found = read(source, config, ["flows"]).records["flows"]
    assert {row["workspace_id"] for row in found} == {workspace.workspace_id for workspace in front.workspaces}
    assert len(found) == WORKSPACES * ROWS


# Catalogs


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_that_a_catalog_has_twice_is_read_once_or_refused(config: dict[str, Any], stream: str) -> None:
    sync = read_here(config, [stream, "variables", stream])
    if sync.exit_code:
        assert_config_error(sync, stream)
    else:
        assert rows(sync) == rows(read_here(config, [stream, "variables"]).ok())


# Keys that are no settings

# Names that the connector or the CDK has used for itself, with values that would do harm.
USED: dict[str, Any] = {
    "is_check": True,
    "problem": "This is no problem of the user.",
    "label": "Elsewhere",
    "workspace": {"workspace_id": str(uuid4()), "workspace_name": "Elsewhere", "account_name": "Nobody"},
    "retention_days": 1,
    "limited_account": "elsewhere",
    "__injected_components_py": "raise RuntimeError('run by the connector')",
}
UNKNOWN_IN_CONNECTION: dict[str, Any] = {
    # A connection to Prefect Cloud has a setting of this name.
    **{key: value for key, value in USED.items() if key != "workspace"},
    "root_url": "http://127.0.0.1:9/api",
    "patience": 0,
    "columns": [],
    "tls": {"verify": True},
    "__injected_declarative_manifest": {"streams": []},
    f"null_{uuid4().hex}": None,
    f"object_{uuid4().hex}": {"is_check": True},
}
# With what is a setting, but of a connection.
UNKNOWN: dict[str, Any] = {
    **UNKNOWN_IN_CONNECTION,
    **USED,
    "ui_url": "http://elsewhere.example.com",
    "type": "server",
    "api_url": "http://127.0.0.1:9/api",
    "api_key": "elsewhere",
    "auth_string": "else:where",
    "account_id": str(uuid4()),
    "workspace_id": str(uuid4()),
    "workspaces": [str(uuid4())],
    "verify_tls": False,
}
READ = ["flows", "flow_runs", "events", "workspaces"]


@pytest.fixture(scope="module")
def of_cloud(server: PrefectServer) -> Iterator[Cloud]:
    """A workspace with events that are three days old."""
    events = [
        {"id": str(uuid4()), "event": "shop.paid", "occurred": (NOW - timedelta(days=days, hours=1)).isoformat(),
         "resource": {"prefect.resource.id": "shop.1"}} for days in range(4)
    ]  # fmt: skip
    server.post("events", events)
    server.wait_for_events()
    with cloud([Workspace(server.url)]) as running:
        yield running


@pytest.fixture(scope="module", params=["server", "cloud"])
def known(request: pytest.FixtureRequest, server: PrefectServer, of_cloud: Cloud) -> tuple[dict[str, Any], Sync]:
    """A config with documented settings alone, and what is read with it."""
    connection = {"type": "server", "api_url": server.url} if request.param == "server" else of_cloud.connection()
    config = {"connection": connection, "page_size": PAGE_SIZE}
    return config, read_here(config, READ).ok()


@pytest.mark.parametrize("key", USED)
def test_a_key_that_is_no_setting_changes_nothing(known: tuple[dict[str, Any], Sync], key: str) -> None:
    config, expected = known
    assert_changes_nothing(config | {key: USED[key]}, expected, [key])


def test_keys_that_are_no_settings_change_nothing(known: tuple[dict[str, Any], Sync]) -> None:
    config, expected = known
    assert_changes_nothing(config | UNKNOWN, expected, list(UNKNOWN))


def test_keys_of_a_connection_that_are_no_settings_change_nothing(known: tuple[dict[str, Any], Sync]) -> None:
    config, expected = known
    connection = config["connection"] | UNKNOWN_IN_CONNECTION
    assert_changes_nothing(config | {"connection": connection}, expected, list(UNKNOWN_IN_CONNECTION))


def test_keys_that_are_no_settings_change_no_check_and_no_catalog(known: tuple[dict[str, Any], Sync]) -> None:
    config, _ = known
    strange = {**UNKNOWN, **config, "connection": {**UNKNOWN_IN_CONNECTION, **config["connection"]}}
    for command in ("check", "discover"):
        assert run_here(command, strange) == run_here(command, config)


def test_the_value_of_a_key_that_is_no_setting_is_not_logged(known: tuple[dict[str, Any], Sync]) -> None:
    """It may be a secret under a name that is mistyped."""
    config, _ = known
    secret = uuid4().hex
    sync = read_here(config | {"apikey": secret, "connection": config["connection"] | {"password": secret}}, READ)
    assert secret not in json.dumps([sync.logs, sync.errors])


def assert_changes_nothing(config: Mapping[str, Any], expected: Sync, keys: Sequence[str]) -> None:
    """Each key is named in one line of the log; the rows and the other lines are the same."""
    sync = read_here(config, READ).ok()
    assert rows(sync) == rows(expected)
    assert sync.statuses == expected.statuses
    named = {key: _lines(sync, key) - _lines(expected, key) for key in keys}
    assert named == dict.fromkeys(keys, 1), sync.logs


def _lines(sync: Sync, key: str) -> int:
    return sum(re.search(rf"(?<!\w){key}(?!\w)", line) is not None for line in sync.logs)
