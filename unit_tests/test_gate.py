import threading
import time
from collections.abc import Callable

from source_prefect.http.gate import Gate


def send_together(gate: Gate, count: int, request: Callable[[], object]) -> None:
    """So many threads pass the gate, each with one request."""

    def pass_with_request() -> None:
        with gate.passing():
            request()

    threads = [threading.Thread(target=pass_with_request) for _ in range(count)]
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
