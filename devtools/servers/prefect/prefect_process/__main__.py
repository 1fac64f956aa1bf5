"""Prefect's command line, in a process that collects its garbage in a thread of its own.

Prefect's server on SQLite would stop for a minute now and then: its only thread that serves
requests collects a cursor that an error has left behind, and waits for the cursor's connection.
That connection waits up to a minute for SQLite's lock, whose holder cannot commit without the
thread that serves requests (seen in gdb: Prefect 3.8.8, Python 3.11.7).
"""

import gc
import itertools
import threading
import time


def _collect() -> None:
    for second in itertools.count(1):
        time.sleep(1)
        # What is new, and now and then everything, which takes half a second.
        gc.collect(2 if second % 60 == 0 else 1)


if __name__ == "__main__":
    gc.disable()
    threading.Thread(target=_collect, daemon=True).start()

    from prefect.cli import app

    app()
