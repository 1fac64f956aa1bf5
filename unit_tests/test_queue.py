"""The queue of what is to be printed is bounded by bytes, and ends with its command."""

import threading
from queue import Full
from typing import Any

import pytest

from source_prefect.cdk import ByteQueue, QueueClosedError, QueuedRecord


def record(letters: int) -> QueuedRecord:
    return QueuedRecord({"text": "x" * letters}, "flows")


def fill(queue: ByteQueue, item: Any) -> int:
    """Put it as often as there is room for it."""
    for count in range(100):
        try:
            queue.put_nowait(item)
        except Full:
            return count
    raise AssertionError("it has no bound")


def test_an_empty_record_is_true_because_the_cdk_ends_at_an_item_that_is_false() -> None:
    assert QueuedRecord({}, "flows")


def test_a_record_takes_the_letters_of_its_texts_and_something_for_each_column() -> None:
    assert record(1_000).size - record(0).size == 1_000
    assert QueuedRecord({"text": "", "number": 10**9, "nothing": None}, "flows").size > record(0).size > 0


def test_it_takes_many_small_records_or_one_large_one() -> None:
    queue = ByteQueue(10_000)
    assert fill(queue, record(100_000)) == 1
    queue.get()
    assert fill(queue, record(800)) == 10
    assert queue.qsize() == 10 * record(800).size


def test_other_messages_have_a_size_too() -> None:
    assert 1 < fill(ByteQueue(1_000), "a state") < 100


def test_items_come_out_in_the_order_in_which_they_went_in() -> None:
    queue = ByteQueue(10_000)
    items = [record(1), "a state", record(2)]
    for item in items:
        queue.put(item)  # type: ignore[arg-type]  # in place of a message
    assert [queue.get() for _ in items] == items
    assert queue.empty()


def test_at_its_end_it_drops_its_items_and_refuses_those_that_wait_and_all_later_ones() -> None:
    queue = ByteQueue(1)
    fill(queue, record(1))
    errors: list[Exception] = []

    def put() -> None:
        try:
            queue.put(record(1))
        except QueueClosedError as error:
            errors.append(error)

    threads = [threading.Thread(target=put, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    threads[0].join(0.1)
    assert all(thread.is_alive() for thread in threads), "they wait for room"
    queue.close()
    for thread in threads:
        thread.join(5)
    assert len(errors) == 3
    assert queue.empty()
    with pytest.raises(QueueClosedError):
        queue.put(record(1))
