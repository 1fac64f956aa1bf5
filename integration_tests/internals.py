"""All that the tests of the connector's behaviour know of its inside, and of that of the CDK."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from source_prefect import source
from source_prefect.http.transport import IN_A_SYNC


@contextmanager
def longest_maintenance(seconds: float) -> Iterator[None]:
    """A sync in this process waits for so long for the end of a maintenance of Prefect Cloud."""
    shorter = IN_A_SYNC._replace(longest_maintenance=seconds)
    with patch.object(source, "IN_A_SYNC", shorter):
        yield


def altered(prelude: str) -> list[str]:
    """The command `source-prefect` in a process that runs this Python code first."""
    connector = "import runpy; runpy.run_module('source_prefect', run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", f"{prelude}\n{connector}"]


def raising_in_the_main_thread(error: str) -> list[str]:
    """The command `source-prefect`, whose main thread raises this error after the third message of
    a read.

    That is where the CDK's monitor raises when a container runs out of memory.
    """
    return altered(
        f"""
import itertools
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.memory_monitor import MemoryMonitor
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
numbers = itertools.count()
def check_memory_usage(self):
    if next(numbers) == 2:
        raise {error}
MemoryMonitor.check_memory_usage = check_memory_usage
"""
    )


# The command `source-prefect` with a minute of two seconds for `max_requests_per_minute`. A
# SIGUSR1 sets its clock back by three hours; no signal moves its monotonic clock.
WITH_A_CLOCK_THAT_IS_SET_BACK = altered(
    """
import datetime, signal, time_machine
from source_prefect.http import gate
gate._MINUTE = 2.0
clock = time_machine.travel(datetime.datetime.now(datetime.UTC), tick=True).start()
signal.signal(signal.SIGUSR1, lambda *_: clock.shift(datetime.timedelta(hours=-3)))
"""
)
