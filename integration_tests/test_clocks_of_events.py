"""Events are asked for by the server's clock, and again if a setting or refusal left some out."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from devtools.connector import State, Sync, read_here
from devtools.data.bulk import insert_events, insert_logs
from devtools.servers.cloud import HOBBY, PRO, Cloud, Key, Limits, Plan, Workspace, cloud
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on
from integration_tests.month import NOW, OF_EVENTS
from source_prefect.progress.state import VERSION

ROBOT = Key("pnb_0123456789", reads_account=False)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient():
        yield


def true_time() -> datetime:
    """The time on the clock of the stand-in, which a test does not move."""
    hatch = time_machine.escape_hatch
    return hatch.datetime.datetime.now(UTC) if hatch.is_travelling() else datetime.now(UTC)


def read(front: Cloud, *streams: str, ahead: timedelta = timedelta(0), state: State | None = None, **more: Any) -> Sync:
    """A sync on a machine whose clock is ahead of the stand-in's by so much."""
    with time_machine.travel(true_time() + ahead, tick=True):
        return read_here({"connection": front.connection(), **more}, streams or None, state)


def ids(*syncs: Sync) -> dict[str, set[str]]:
    return {stream: {row_id for sync in syncs for row_id in sync.ids(stream)} for stream in OF_EVENTS}


def state_of(stream: str, at: datetime) -> State:
    state = {"version": VERSION, "occurred": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    return [{"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": state}}]


def occurred(request: Request) -> tuple[datetime, datetime]:
    """The time that a request for events asks for."""
    span = request.body["filter"]["occurred"]
    return datetime.fromisoformat(span["since"]), datetime.fromisoformat(span.get("until") or f"{true_time()}")


# The connector's clock

AHEAD = [days * DAY for days in (-400, -8, 1, 3, 8, 400)]
KINDS: dict[str, tuple[Plan, Limits, Key]] = {
    "7 days, refuses": (HOBBY, Limits.REFUSE, Key()),
    "7 days, refuses, not told": (HOBBY, Limits.REFUSE, ROBOT),
    "30 days, refuses": (PRO, Limits.REFUSE, Key()),
    "30 days, clamps": (PRO, Limits.CLAMP, Key()),
}


@pytest.fixture(scope="module", params=KINDS.values(), ids=list(KINDS))
def front(workspace: Workspace, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Each kind of limit for events. The workspace has events within and beyond each retention."""
    plan, limits, key = request.param
    with cloud([workspace], plan=plan, event_limits=limits, keys=[key], clock=true_time) as running:
        yield running


@pytest.fixture(scope="module")
def kept(front: Cloud) -> dict[str, set[str]]:
    """What is read where the two clocks agree: all that the plan keeps."""
    with impatient():
        found = read(front, *OF_EVENTS).ok()
    oldest = NOW - front.settings.plan.retention
    events = [event["occurred"] for event in found.records["events"]]
    assert min(map(datetime.fromisoformat, events)) - oldest < 5 * DAY
    return ids(found)


@pytest.mark.parametrize("ahead", AHEAD, ids=lambda ahead: f"{ahead.days} days")
def test_a_clock_that_is_wrong_hides_no_event(front: Cloud, kept: dict[str, set[str]], ahead: timedelta) -> None:
    before = len(front.requests("events/filter"))
    assert ids(read(front, *OF_EVENTS, ahead=ahead).ok()) == kept
    spans = [occurred(request) for request in front.requests("events/filter")[before:]]
    assert max(until - since for since, until in spans) <= timedelta(days=14)


@pytest.mark.parametrize(("ahead", "then"), [(-8, 0), (0, -8), (8, 0), (0, 8), (8, 8), (3, -8)])
def test_a_clock_that_is_set_between_two_syncs_hides_no_event(
    server: PrefectServer, workspace: Workspace, ahead: int, then: int
) -> None:
    with cloud([workspace], plan=HOBBY, clock=true_time) as front:
        first = read(front, *OF_EVENTS, ahead=ahead * DAY).ok()
        [new] = insert_events(server.database, [true_time()])
        second = read(front, *OF_EVENTS, ahead=then * DAY, state=first.state).ok()
        assert new in second.ids("events")
        assert ids(first, second) == ids(read(front, *OF_EVENTS).ok())


@pytest.mark.parametrize("ahead", [-400 * DAY, -8 * DAY, 8 * DAY], ids=lambda ahead: f"{ahead.days} days")
@pytest.mark.parametrize("limits", [Limits.REFUSE, Limits.CLAMP], ids=lambda limits: limits.value)
def test_after_a_pause_a_clock_that_is_wrong_hides_no_event(
    server: PrefectServer, workspace: Workspace, limits: Limits, ahead: timedelta
) -> None:
    """The last sync was 26 days ago: more than one request may span."""
    name = f"shop.pause.{limits.value}.{ahead.days}"
    since_then = insert_events(
        server.database, [NOW - hours * timedelta(hours=7) for hours in range(1, 89)], event=name
    )
    with cloud([workspace], plan=PRO, event_limits=limits, clock=true_time) as front:
        state = state_of("events", NOW - 26 * DAY)
        found = read(front, "events", ahead=ahead, state=state, event_prefixes=[name]).ok()
    assert set(found.ids("events")) == set(since_then)


@pytest.mark.parametrize("ahead", [-400 * DAY, 150 * DAY, 175 * DAY, 400 * DAY], ids=lambda ahead: f"{ahead.days} days")
def test_a_clock_that_is_wrong_hides_no_event_of_a_server(
    server: PrefectServer, workspace: Workspace, of_server: Sync, ahead: timedelta
) -> None:
    assert workspace
    with time_machine.travel(true_time() + ahead, tick=True):
        found = read_here({"connection": {"type": "server", "api_url": server.url}}, [*OF_EVENTS, "logs"]).ok()
    for stream in [*OF_EVENTS, "logs"]:
        assert set(found.ids(stream)) >= set(of_server.ids(stream)), stream


# Refusals for another reason

REFUSED = Answer(400, b'{"exception_message":"Invalid request received."}', {"Content-Type": "application/json"})
COUNT = 60


def refuse(numbers: set[int], status: int) -> Behaviour:
    """Refuse the requests for events with these numbers, counted from 0."""
    asked = itertools.count()

    def behave(request: Request, forward: Forward) -> Answer:
        if request.path == "events/filter" and next(asked) in numbers:
            return Answer(status, REFUSED.body, REFUSED.headers)
        return forward(request)

    return behave


def bursts() -> Iterator[set[int]]:
    """Refusals in a row, and far apart: what is asked again is accepted."""
    yield from (set(range(count)) for count in range(1, 9))
    yield set(range(3, 9))
    yield from (set(range(first, 200, 15)) for first in (0, 2))


@pytest.fixture(scope="module")
def of_a_month(server: PrefectServer, workspace: Workspace) -> set[str]:
    """Events of a month, in several pages."""
    assert workspace
    times = [NOW - timedelta(days=29) + n * timedelta(hours=11) for n in range(COUNT)]
    return set(insert_events(server.database, times, event="shop.refused"))


@pytest.mark.parametrize("key", [Key(), ROBOT], ids=["told what is kept", "not told"])
@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_for_another_reason_hides_no_event(
    workspace: Workspace, of_a_month: set[str], status: int, key: Key
) -> None:
    for numbers in bursts():
        with cloud([workspace], plan=PRO, keys=[key]) as front:
            front.spoil = refuse(numbers, status)
            first = read(front, "events", event_prefixes=["shop.refused"])
            front.spoil = pass_on
            if first.exit_code == 0:
                assert set(first.ids("events")) == of_a_month, sorted(numbers)
            else:
                assert any(f"refused a request of the stream events ({status})" in e["message"] for e in first.errors)
                # A destination may drop what came after the last state.
                kept = first.ids("events")[: first.committed["events"]]
                later = read(front, "events", event_prefixes=["shop.refused"], state=first.state).ok()
                assert {*kept, *later.ids("events")} == of_a_month, sorted(numbers)
            # Nothing of it is remembered.
            whole = read(front, "events", event_prefixes=["shop.refused"]).ok()
            assert set(whole.ids("events")) == of_a_month, sorted(numbers)


def test_a_refusal_that_stays_is_one_error_after_few_requests(workspace: Workspace, of_a_month: set[str]) -> None:
    assert of_a_month
    with cloud([workspace], plan=PRO) as front:
        front.spoil = refuse(set(range(10_000)), 400)
        failed = read(front, "events")
        assert len(front.requests("events/filter")) < 40
    assert failed.exit_code == 1
    assert "refused a request of the stream events (400)" in failed.errors[0]["message"]


# What a sync was asked to leave out


NAMES = ["shop.a", "shop.b", "bank"]
LEVELS = {"DEBUG": 10, "INFO": 20, "ERROR": 40}


@pytest.fixture
def shop(empty: PrefectServer) -> dict[str, list[str]]:
    """Events and log lines of the last days, the newest first, by what selects them."""
    days = [true_time() - timedelta(days=days, hours=3) for days in range(4)]
    return {
        **{name: insert_events(empty.database, days, event=f"{name}.paid") for name in NAMES},
        **{name: insert_logs(empty.database, days, level=level) for name, level in LEVELS.items()},
    }


SETTINGS: dict[str, tuple[str, str, list[list[str] | str | None]]] = {
    "another prefix": ("event_prefixes", "events", [["shop.a"], ["shop.a", "shop.b"]]),
    "a shorter prefix": ("event_prefixes", "events", [["shop.a"], ["shop."]]),
    "one instead of another": ("event_prefixes", "events", [["shop.a"], ["shop.b"]]),
    "no prefix": ("event_prefixes", "events", [["shop."], None]),
    "an empty list": ("event_prefixes", "events", [["shop."], []]),
    "narrow, then wide again": ("event_prefixes", "events", [["shop."], ["shop.a"], ["shop."]]),
    "no prefix after all": ("event_prefixes", "events", [None, ["shop.a"], None]),
    "a lower level": ("log_level", "logs", ["ERROR", "DEBUG"]),
    "a level below the default": ("log_level", "logs", [None, "DEBUG"]),
    "high, then low again": ("log_level", "logs", ["DEBUG", "ERROR", "INFO"]),
}


def selected(shop: dict[str, list[str]], stream: str, value: list[str] | str | None) -> set[str]:
    """The rows that a setting lets in."""
    if stream == "events":
        names = [name for name in NAMES if not value or f"{name}.paid".startswith(tuple(value))]
    else:
        names = [name for name, level in LEVELS.items() if level >= LEVELS[str(value or "INFO")]]
    return {row_id for name in names for row_id in shop[name]}


def of_earlier_days(shop: dict[str, list[str]], sync: Sync) -> set[str]:
    """The rows of a sync but the newest ones, which every sync may send."""
    return {row_id for ids in sync.records.values() for row_id in (row["id"] for row in ids)} & {
        row_id for of_name in shop.values() for row_id in of_name[1:]
    }


@pytest.mark.parametrize(("setting", "stream", "values"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_that_lets_more_in_reads_the_stream_from_the_beginning(
    empty: PrefectServer, shop: dict[str, list[str]], setting: str, stream: str, values: list[list[str] | str | None]
) -> None:
    state: State | None = None
    for value in values:
        config = {"connection": {"type": "server", "api_url": empty.url}, setting: value}
        sync = read_here(config, [stream], state).ok()
        state = sync.state
    assert selected(shop, stream, values[-1]) <= set(sync.ids(stream))
    assert any(setting in line and stream in line for line in sync.logs), sync.logs
    again = read_here(config, [stream], state).ok()
    assert of_earlier_days(shop, again) == set()
    assert not any(setting in line for line in again.logs)


@pytest.mark.parametrize(
    ("setting", "stream", "values"),
    [
        ("event_prefixes", "events", [["shop.a", "shop.b"], ["shop.b", "shop.a"], ["shop.b"], ["shop.b", "shop.b.p"]]),
        ("event_prefixes", "events", [None, [], ["shop."], ["shop.a"]]),
        ("log_level", "logs", [None, "INFO", "info", "WARNING", "CRITICAL"]),
    ],
)
def test_a_setting_that_lets_no_more_in_reads_what_is_new(
    empty_gate: Proxy, shop: dict[str, list[str]], setting: str, stream: str, values: list[list[str] | str | None]
) -> None:
    state: State | None = None
    for number, value in enumerate(values):
        config = {"connection": {"type": "server", "api_url": empty_gate.url}, setting: value}
        empty_gate.log.clear()
        sync = read_here(config, [stream], state).ok()
        state = sync.state
        if number:
            assert of_earlier_days(shop, sync) == set()
            assert len(empty_gate.log) == 1


def test_the_prefixes_are_none_of_the_streams_made_of_events(empty: PrefectServer, shop: dict[str, list[str]]) -> None:
    assert shop
    config: dict[str, Any] = {"connection": {"type": "server", "api_url": empty.url}}
    streams = [stream for stream in OF_EVENTS if stream != "events"]
    state = read_here({**config, "event_prefixes": ["shop.a"], "log_level": "ERROR"}, streams).ok().state
    sync = read_here(config, streams, state).ok()
    assert not any("event_prefixes" in line or "log_level" in line for line in sync.logs)
