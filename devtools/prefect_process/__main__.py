"""Prefect's command line, in a process that collects its garbage in a thread of its own.

Prefect's server on SQLite would stop for a minute now and then: its only thread that serves requests collects a cursor
that an error has left behind, and waits for the cursor's connection. That connection waits up to a minute for SQLite's
lock, whose holder cannot commit without the thread that serves requests (seen in gdb: Prefect 3.8.8, Python 3.11.7).
"""

import gc
import threading
import time

SECONDS = 10.0


def _collect() -> None:
    time.sleep(SECONDS)
    gc.collect()
    # What there is now is Prefect's code: it need not be looked through again.
    gc.freeze()
    while True:
        time.sleep(SECONDS)
        gc.collect()


if __name__ == "__main__":
    gc.disable()
    threading.Thread(target=_collect, daemon=True).start()

    from prefect.cli import app

    app()
