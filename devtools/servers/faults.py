"""Faults for the proxy: all that networks, proxies and servers do, and a random mix."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from unittest.mock import patch

from requests.adapters import HTTPAdapter

from devtools.servers.proxy import Answer, Forward, Request
from source_prefect.http.gate import Gate

Fault = Callable[[Answer], Answer]

# How long the connector waits at most, for a retry and for an answer, while `impatient` holds.
LONGEST_SLEEP = 0.01
LONGEST_READ = 2.0


def _status(status: int, headers: Mapping[str, str] | None = None) -> Fault:
    body = json.dumps({"exception_message": f"fault {status}"}).encode()
    return lambda _: Answer(status, body, {"Content-Type": "application/json", **(headers or {})})


def _body(body: bytes, content_type: str = "application/json") -> Fault:
    return lambda _: Answer(200, body, {"Content-Type": content_type})


def _retry_at_a_date(_: Answer) -> Answer:
    now = datetime.now(UTC)
    dates = {"Retry-After": format_datetime(now + timedelta(seconds=1), usegmt=True), "Date": format_datetime(now)}
    return Answer(429, b"", dates)


def _cut(answer: Answer) -> Answer:
    return Answer(answer.status, answer.body, answer.headers, cut_after=len(answer.body) // 2)


def _half_a_list(answer: Answer) -> Answer:
    return Answer(answer.status, answer.body[: max(1, len(answer.body) // 2)], answer.headers)


def _late(answer: Answer) -> Answer:
    return Answer(answer.status, answer.body, answer.headers, delay=0.2)


FAULTS: dict[str, Fault] = {
    "429": _status(429),
    "429 in seconds": _status(429, {"Retry-After": "1"}),
    "429 until a date": _retry_at_a_date,
    "500": _status(500),
    "502 of a proxy": lambda _: Answer(502, b"<html><h1>502 Bad Gateway</h1></html>", {"Content-Type": "text/html"}),
    "503": _status(503, {"Retry-After": "1"}),
    "504": _status(504),
    "408": _status(408),
    "reset": lambda _: Answer(reset=True),
    "cut short": _cut,
    "half a list": _half_a_list,
    "HTML": _body(b"<!doctype html><title>Log in</title>", "text/html"),
    "object": _body(b"{}"),
    "null": _body(b"null"),
    "numbers": _body(b"[1, 2]"),
    "empty body": _body(b""),
    "late": _late,
    "stall": lambda answer: Answer(answer.status, answer.body, answer.headers, delay=LONGEST_READ + 1),
}


class RandomFaults:
    """A behaviour for the proxy: some answers are spoilt, but the same request never more than
    three times in a row.

    The connector asks six times before it gives up, so that a sync always comes through.
    """

    def __init__(self, seed: int, share: float = 0.2, faults: Mapping[str, Fault] = FAULTS) -> None:
        self._random = random.Random(seed)
        self._share = share
        self._faults = dict(faults)
        self._lock = threading.Lock()
        self._in_a_row: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()

    def __call__(self, request: Request, forward: Forward) -> Answer:
        name = self._draw(json.dumps([request.path, request.body], sort_keys=True))
        answer = forward(request)
        return self._faults[name](answer) if name else answer

    def _draw(self, request: str) -> str | None:
        with self._lock:
            if self._random.random() >= self._share or self._in_a_row[request] >= 3:
                self._in_a_row[request] = 0
                return None
            self._in_a_row[request] += 1
            name = self._random.choice(sorted(self._faults))
            self.seen[name] += 1
            return name


@contextmanager
def _waiting(pause: Callable[[Gate, float], None], close: Callable[[Gate, float], bool]) -> Iterator[None]:
    """In this process, wait like this before a retry, and where a 429 closes the gate."""
    with patch.object(Gate, "pause", pause), patch.object(Gate, "close", close):
        yield


@contextmanager
def impatient() -> Iterator[None]:
    """Cut the connector's waits short, in this process: it does all that it does otherwise, only
    sooner.

    Not those for the requests per minute.
    """
    send, pause, close = HTTPAdapter.send, Gate.pause, Gate.close

    def send_soon(self: HTTPAdapter, *args: Any, **kwargs: Any) -> Any:
        if isinstance(kwargs.get("timeout"), tuple):  # as the connector sets it; a test's own client does not
            kwargs["timeout"] = (LONGEST_READ, LONGEST_READ)
        return send(self, *args, **kwargs)

    with (
        _waiting(
            lambda self, seconds: pause(self, min(seconds, LONGEST_SLEEP)),
            lambda self, seconds: close(self, min(seconds, LONGEST_SLEEP)),
        ),
        patch.object(HTTPAdapter, "send", send_soon),
    ):
        yield


@dataclass
class Waits:
    """The seconds of each wait: before a retry, and of all requests, as a 429 asks for."""

    retries: list[float] = field(default_factory=list)
    gate: list[float] = field(default_factory=list)


@contextmanager
def recorded_waits() -> Iterator[Waits]:
    """Note the waits for retries, in this process, instead of waiting."""
    waits = Waits()
    close = Gate.close

    def note_gate(self: Gate, seconds: float) -> bool:
        waits.gate.append(seconds)
        return close(self, 0)

    with _waiting(lambda _, seconds: waits.retries.append(seconds), note_gate):
        yield waits
