"""Sends events by a transport, and remembers how far it got: at least once, and resumable."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import requests
from openlineage.client.event_v2 import RunEvent

from prefect_openlineage.receivers import Receiver
from prefect_openlineage.runs import Position, Positions, Runs

# How often a person is told how far it has got.
EVERY_SECONDS = 2.0

# The event is what the receiver does not like, not the key or the address: another try will not
# help.
REFUSALS = frozenset({400, 413, 422})


class Transport(Protocol):
    """One of the client's transports."""

    def emit(self, event: Any) -> Any: ...


@dataclass
class Progress:
    """How far each receiver has got, in a file beside the tables.

    Every receiver has its own, so that a second one gets all events as well.
    """

    file: Path
    receiver: str

    def positions(self) -> Positions:
        return {table: (datetime.fromisoformat(at), row_id) for table, (at, row_id) in self._mine().items()}

    def save(self, table: str, position: Position) -> None:
        """Replace the file at once: a kill leaves the old one or the new one."""
        everyone = self._read() | {self.receiver: self._mine() | {table: [position[0].isoformat(), position[1]]}}
        new = self.file.with_name(f"{self.file.name}.new")
        new.write_text(json.dumps(everyone, indent=2))
        os.replace(new, self.file)  # noqa: PTH105  (the same as Path.replace, which says it less plainly)

    def _read(self) -> dict[str, dict[str, list[str]]]:
        known: dict[str, dict[str, list[str]]] = json.loads(self.file.read_text()) if self.file.exists() else {}
        return known

    def _mine(self) -> dict[str, list[str]]:
        return self._read().get(self.receiver, {})


@dataclass
class Sent:
    """What was sent, and what was not as it should be."""

    events: Counter[str] = field(default_factory=Counter)
    # Runs of each job whose events the receiver would refuse, or did only half of what they ask.
    complaints: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return self.events.total()


def send(
    runs: Runs,
    transport: Transport,
    receiver: Receiver,
    progress: Progress | None = None,
    skip_refused: bool = False,
    tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> Sent:
    """Send the events of all pages. After each page the progress is saved; an error ends it, and
    the next run goes on.

    Without `progress`, nothing is remembered. An event that the receiver refuses is an error, too,
    unless such events are to be skipped: then they are counted among the complaints.
    """
    sent, began = Sent(), time.monotonic()
    told = began
    totals: dict[str, int] = {}
    done: Counter[str] = Counter()
    for page in runs.pages():
        for event in page.events:
            _send_one(event, transport, receiver, sent, skip_refused)
        done[page.table] += page.rows
        if progress:
            progress.save(page.table, page.position)
        if time.monotonic() - told > EVERY_SECONDS:
            told = time.monotonic()
            total = totals.setdefault(page.table, runs.count(page.table))
            tell(f"{page.table}: {done[page.table]:,} of {total:,}, {sent.total / (told - began):,.0f} events a second")
    sent.seconds = time.monotonic() - began
    return sent


def _send_one(event: RunEvent, transport: Transport, receiver: Receiver, sent: Sent, skip_refused: bool) -> None:
    if not receiver.wants(event):
        return
    if objection := receiver.objection(event):
        sent.complaints[f"Not sent, for {event.job.name} has {objection}"] += 1
        return
    try:
        answer = transport.emit(event)
    except requests.HTTPError as error:
        refusal = _refusal(event, error)
        if not (skip_refused and error.response.status_code in REFUSALS):
            raise RuntimeError(f"{refusal}\nRun it again to go on from there.") from error
        sent.complaints[refusal] += 1
        return
    except requests.RequestException as error:
        raise RuntimeError(f"{error}\nRun it again to go on from there.") from error
    sent.events[event.eventType.value if event.eventType else ""] += 1
    if complaint := receiver.complaint(event, answer):
        sent.complaints[complaint] += 1


def _refusal(event: RunEvent, error: requests.HTTPError) -> str:
    state = event.eventType.value if event.eventType else ""
    return f"The {state} of run {event.run.runId} of {event.job.name} was refused: {error} {error.response.text[:500]}"
