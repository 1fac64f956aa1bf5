import threading
import time
from collections.abc import Iterator

import pytest

from source_prefect.paging import Rows
from source_prefect.progress.threads import read_in_parallel


def pages(part: int) -> Iterator[Rows]:
    for number in range(3):
        yield [{"id": f"{part}-{number}"}]


@pytest.mark.parametrize("workers", [1, 4])
def test_every_page_of_every_part_comes_and_the_end_of_each_part_behind_them(workers: int) -> None:
    seen: dict[int, list[str]] = {}
    ended = []
    for piece in read_in_parallel(range(10), pages, workers):
        assert piece.part == piece.number
        if piece.rows is None:
            assert len(seen[piece.number]) == 3
            ended.append(piece.number)
        else:
            seen.setdefault(piece.number, []).append(piece.rows[0]["id"])
    assert sorted(ended) == list(range(10))
    assert seen == {part: [f"{part}-{n}" for n in range(3)] for part in range(10)}


def test_parts_are_read_at_the_same_time() -> None:
    together = threading.Barrier(4, timeout=10)

    def read(_part: int) -> Iterator[Rows]:
        together.wait()
        yield []

    assert len(list(read_in_parallel(range(4), read, 4))) == 8


def test_the_first_error_is_raised_once_and_ends_the_others() -> None:
    begun = []

    def read(part: int) -> Iterator[Rows]:
        begun.append(part)
        yield [{"id": str(part)}]
        if part >= 3:
            raise ValueError(f"part {part}")
        time.sleep(0.01)

    with pytest.raises(ValueError, match="part 3"):
        for _ in read_in_parallel(range(1_000), read, 1):
            pass
    time.sleep(0.1)
    assert begun == [0, 1, 2, 3]


def test_an_error_while_parts_are_made_is_raised() -> None:
    def parts() -> Iterator[int]:
        yield 1
        raise ValueError("no more parts")

    with pytest.raises(ValueError, match="no more parts"):
        list(read_in_parallel(parts(), pages, 2))


def test_nothing_more_is_read_when_nobody_listens_any_more() -> None:
    read_pages = []

    def read(part: int) -> Iterator[Rows]:
        for number in range(1_000):
            read_pages.append((part, number))
            yield [{"id": str(number)}]

    pieces = read_in_parallel(range(8), read, 4)
    next(pieces)
    pieces.close()
    time.sleep(0.3)
    count = len(read_pages)
    time.sleep(0.3)
    assert len(read_pages) == count < 50
