from collections.abc import Iterator
from datetime import timedelta

import pytest

from devtools.faults import impatient
from integration_tests.torture.effort import REPORT
from source_prefect.sync import state


@pytest.fixture
def sharp(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without the five minutes that every sync reads again: in them lies all that a test does, it would hide a gap."""
    monkeypatch.setattr(state, "IN_FLIGHT", timedelta(0))
    with impatient():
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in REPORT:
        terminalreporter.write_line(line)
