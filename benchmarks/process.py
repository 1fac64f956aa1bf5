"""A process and what it used."""

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

from devtools.connector import peak_memory

_EVERY = 0.1


@dataclass
class Usage:
    """When it began, by `perf_counter`, its wall and CPU seconds, and the most bytes it held."""

    began: float
    seconds: float
    cpu: float
    memory: int


def run(command: Sequence[str], take: Callable[[bytes], None]) -> Usage:
    """Run a command to its end and hand over the lines that it prints, a whole one each time."""
    began = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    memory = _Memory(process.pid)
    for line in process.stdout:
        take(line)
    memory.stop()
    # Popen would drop what it used.
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}.")
    return Usage(began, perf_counter() - began, used.ru_utime + used.ru_stime, memory.peak)


class _Memory(threading.Thread):
    """Asks for the peak from time to time, because nobody can once the process has ended."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._pid = pid
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(_EVERY):
            self.peak = peak_memory(self._pid) or self.peak

    def stop(self) -> None:
        self._ended.set()
        self.join()
