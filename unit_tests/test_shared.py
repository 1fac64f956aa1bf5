"""Of two streams read together, one partition reads and one waits; neither waits for ever."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.reading.shared import SharedScan

ROW = {"id": "run"}


@dataclass(frozen=True)
class Stream:
    """All that a shared scan uses of an output."""

    label: str


RUNS: Any = Stream("task_runs")
DEPENDENCIES: Any = Stream("task_dependencies")


def shared(records: Iterator[Any]) -> SharedScan:
    scan: Any = SimpleNamespace(records=lambda: records)
    return SharedScan(scan, RUNS, DEPENDENCIES)


def test_the_second_partition_ends_after_the_last_record_and_brings_none() -> None:
    may_end = Event()

    def read() -> Iterator[Any]:
        yield ROW
        may_end.wait(timeout=10)
        yield ROW

    both = shared(read())
    first = both.of(DEPENDENCIES)()
    assert next(first) == ROW
    with ThreadPoolExecutor() as threads:
        second = threads.submit(lambda: list(both.of(RUNS)()))
        assert not second.done()
        may_end.set()
        assert list(first) == [ROW]
        assert second.result(timeout=10) == []


@pytest.mark.parametrize(
    ("error", "failure_type"),
    [
        (AirbyteTracedException(failure_type=FailureType.config_error), FailureType.config_error),
        (ValueError("unforeseen"), FailureType.system_error),
    ],
)
def test_a_failure_of_the_read_fails_both(error: Exception, failure_type: FailureType) -> None:
    def read() -> Iterator[Any]:
        yield ROW
        raise error

    both = shared(read())
    with pytest.raises(type(error)):
        list(both.of(RUNS)())
    with pytest.raises(AirbyteTracedException) as raised:
        list(both.of(DEPENDENCIES)())
    assert raised.value.message == "The stream task_dependencies is read together with task_runs, which failed."
    assert raised.value.failure_type == failure_type


def test_a_read_that_is_broken_off_leaves_nobody_waiting() -> None:
    both = shared(iter([ROW, ROW]))
    first = both.of(RUNS)()
    next(first)
    first.close()  # type: ignore[attr-defined]  # a generator
    with pytest.raises(AirbyteTracedException, match="task_dependencies is read together with task_runs, which failed"):
        list(both.of(DEPENDENCIES)())
