"""How long a check waits for what it tries."""

import threading
import time

from source_prefect.check import finished


def test_what_returns_or_raises_is_kept_by_its_key() -> None:
    def fail() -> int:
        raise ValueError("no")

    done = finished({"a": lambda: 1, "b": fail, "c": lambda: 3}, 10, 2)
    assert (done["a"], done["c"]) == (1, 3)
    assert isinstance(done["b"], ValueError)


def test_what_does_not_end_in_time_is_missing_and_what_has_not_begun_never_begins() -> None:
    may_end, begun = threading.Event(), list[str]()

    def wait() -> None:
        begun.append("slow")
        may_end.wait(10)

    began = time.monotonic()
    done = finished(
        {"quick": lambda: begun.append("quick"), "slow": wait, "next": lambda: begun.append("next")}, 0.3, 1
    )
    assert time.monotonic() - began < 5
    assert done == {"quick": None}
    may_end.set()
    time.sleep(0.1)
    assert begun == ["quick", "slow"]


def test_no_more_are_under_way_than_there_are_workers() -> None:
    lock, under_way, most = threading.Lock(), [0], [0]

    def work() -> None:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        with lock:
            under_way[0] -= 1

    assert len(finished(dict.fromkeys(range(9), work), 10, 3)) == 9
    assert most[0] <= 3


def test_nothing_to_do_is_done_at_once() -> None:
    assert finished({}, 10, 4) == {}
