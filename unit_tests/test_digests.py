from typing import Any

import pytest

from source_prefect.progress.digests import Digests


def digests(rows: list[dict[str, Any]], *volatile: str) -> Digests:
    made = Digests(volatile)
    for row in rows:
        made.add(row)
    return made


def table(count: int) -> list[dict[str, Any]]:
    return [{"id": f"deployment-{n}", "limit": n, "polled": "now"} for n in range(count)]


def test_an_unchanged_table_has_no_changed_rows_in_any_order() -> None:
    rows = table(100)
    assert digests(rows[::-1]).changed_since(digests(rows).dump()) == []


def test_without_digests_every_row_counts_as_changed() -> None:
    assert digests(table(3)).changed_since("") == ["deployment-0", "deployment-1", "deployment-2"]
    assert digests(table(2)).changed_since("broken") != []


@pytest.mark.parametrize("count", [1, 7, 100, 5_000])
def test_a_changed_row_is_among_the_few_that_are_sent(count: int) -> None:
    before = digests(table(count)).dump()
    rows = table(count)
    rows[count // 2]["limit"] = -1
    changed = digests(rows).changed_since(before)
    assert f"deployment-{count // 2}" in changed
    assert len(changed) <= 10


def test_a_table_that_grows_and_shrinks_is_compared_still() -> None:
    before = digests(table(100)).dump()
    grown = digests(table(300)).changed_since(before)
    assert {f"deployment-{n}" for n in range(100, 300)} <= set(grown)
    rows = table(40)
    rows[5]["limit"] = -1
    assert "deployment-5" in digests(rows).changed_since(before)


def test_what_changes_without_meaning_anything_is_left_out() -> None:
    before = digests(table(5), "polled").dump()
    rows = [{**row, "polled": "later"} for row in table(5)]
    assert digests(rows, "polled").changed_since(before) == []
    assert len(digests(rows).changed_since(digests(table(5)).dump())) == 5


def test_an_empty_table_has_no_digests() -> None:
    assert digests([]).dump() == ""


@pytest.mark.parametrize(
    ("count", "buckets"), [(1, 4), (2, 8), (3, 16), (64, 256), (65, 512), (1_000, 4_096), (20_000, 4_096)]
)
def test_a_table_has_four_times_as_many_buckets_as_rows_up_to_24_kb(count: int, buckets: int) -> None:
    assert len(digests(table(count)).dump()) == 6 * buckets


def test_digests_mean_the_same_in_each_version_of_the_connector() -> None:
    """Otherwise every row would be sent again after an update."""
    assert digests(table(2)).dump() == "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEQybKYAAAAAAlc2Vp6"


@pytest.mark.parametrize("number", [7, 2**70])
def test_the_order_of_columns_does_not_count(number: int) -> None:
    row = {"id": "a", "number": number, "labels": {"b": 1, "a": 2}}
    turned = {"labels": {"a": 2, "b": 1}, "number": number, "id": "a"}
    assert digests([turned]).changed_since(digests([row]).dump()) == []


def test_rows_that_json_cannot_hold_are_compared_too() -> None:
    rows = [{"id": "a", "number": 2**70, "text": "\ud800"}]
    assert digests(rows).changed_since(digests(rows).dump()) == []
    later = [{"id": "a", "number": 2**70 + 1, "text": "\ud800"}]
    assert digests(later).changed_since(digests(rows).dump()) == ["a"]
