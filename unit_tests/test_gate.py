import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from source_prefect.http.gate import Gate, SessionClosedError


def send_together(gate: Gate, count: int, request: Callable[[], object]) -> None:
    """So many threads pass the gate, each with one request."""

    def pass_with_request() -> None:
        with gate.passing():
            request()

    threads = [threading.Thread(target=pass_with_request, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_an_open_gate_lets_all_pass_at_once() -> None:
    together = threading.Barrier(8, timeout=5)
    send_together(Gate(), 8, together.wait)


def test_a_closed_gate_lets_one_go_ahead_and_the_others_after_it() -> None:
    gate = Gate()
    assert gate.close(0.3)
    closed = time.monotonic()
    steps: list[str] = []
    others = threading.Barrier(7, timeout=10)

    def request() -> None:
        if not steps:
            steps.append("ahead")
            assert time.monotonic() - closed >= 0.3
            time.sleep(0.2)
            steps.append("answered")
        else:
            steps.append("other")
            others.wait()

    send_together(gate, 8, request)
    assert steps == ["ahead", "answered", *["other"] * 7]


def test_refused_again_only_the_one_ahead_has_asked() -> None:
    gate = Gate()
    gate.close(0.1)
    answers = iter([False, False, True, *[True] * 20])
    refused: list[float] = []

    def request() -> None:
        if not next(answers):
            refused.append(time.monotonic())
            assert not gate.close(0.1), "it is closed already: nothing to log"

    send_together(gate, 8, request)
    assert len(refused) == 2
    assert refused[1] - refused[0] >= 0.1


def test_a_request_that_fails_opens_the_gate() -> None:
    gate = Gate()
    gate.close(0.0)
    try:
        with gate.passing():
            raise ConnectionError
    except ConnectionError:
        pass
    send_together(gate, 2, lambda: None)
    assert gate.close(0.0), "it was open"


# The limit of requests a minute


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> float:
    """A short one."""
    monkeypatch.setattr("source_prefect.http.gate._MINUTE", 0.3)
    return 0.3


def test_as_many_requests_as_the_limit_pass_at_once_and_the_next_as_many_after_a_minute(minute: float) -> None:
    began = time.monotonic()
    three = threading.Barrier(3, timeout=10)
    send_together(Gate(3), 9, three.wait)
    assert time.monotonic() - began >= 2 * minute


def test_the_limit_is_measured_on_the_clock_of_the_gate() -> None:
    now = 0.0
    gate = Gate(2, lambda: now)
    for now in (0.0, 10.0, 60.0, 70.0):  # noqa: B007  (the clock reads it)
        began = time.monotonic()
        with gate.passing():
            assert time.monotonic() - began < 1
    with waiting(gate):
        pass


@pytest.mark.parametrize("closed_for", [0.0, 0.6])
def test_a_request_waits_for_its_minute_and_for_the_gate_to_open(minute: float, closed_for: float) -> None:
    gate = Gate(1)
    began = time.monotonic()
    with gate.passing():
        gate.close(closed_for)
    with gate.passing():
        assert time.monotonic() - began >= max(minute, closed_for)


# The end of a command


@contextmanager
def waiting(gate: Gate) -> Iterator[None]:
    """A request waits at the gate while the block runs; then the gate is shut and refuses it."""
    outcome: list[object] = []

    def request() -> None:
        try:
            with gate.passing():
                outcome.append("passed")
        except SessionClosedError as error:
            outcome.append(error)

    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    thread.join(0.2)
    assert outcome == [], "it does not wait"
    yield
    gate.shut()
    thread.join(5)
    assert [str(each) for each in outcome] == ["The command has ended."]


def test_a_gate_that_is_shut_refuses_the_requests_that_wait_and_all_later_ones() -> None:
    gate = Gate()
    gate.close(60)
    with waiting(gate), waiting(gate):
        pass
    with pytest.raises(SessionClosedError), gate.passing():
        pass


def test_those_behind_the_one_ahead_are_refused_too() -> None:
    gate = Gate()
    gate.close(0.0)
    with gate.passing(), waiting(gate):
        pass


def test_a_pause_lasts_as_long_as_it_should_unless_the_command_ends() -> None:
    gate = Gate()
    began = time.monotonic()
    gate.pause(0.1)
    assert time.monotonic() - began >= 0.1
    threading.Timer(0.1, gate.shut).start()
    with pytest.raises(SessionClosedError):
        gate.pause(60)
    assert time.monotonic() - began < 10
