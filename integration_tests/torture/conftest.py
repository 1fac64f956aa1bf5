from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from devtools.servers.faults import impatient
from integration_tests.torture.effort import PROPERTY, REPORT
from source_prefect.progress import ranges, state


@pytest.fixture
def sharp(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without the five minutes that every sync reads again: in them lies all that a test does, it
    would hide a gap.

    And few rows are several ranges.
    """
    monkeypatch.setattr(ranges, "SHORTEST", 1)
    monkeypatch.setattr(state, "IN_FLIGHT", timedelta(0))
    with impatient():
        yield


@pytest.fixture(autouse=True)
def _reported(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Hand on what a test reported: it may run in a worker, and another process prints it."""
    yield
    for line in REPORT:
        record_property(PROPERTY, line)
    REPORT.clear()
