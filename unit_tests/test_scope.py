"""A state reached with narrower settings lacks rows: the stream is read from the beginning."""

from collections.abc import Mapping
from typing import Any

import pytest

from source_prefect.progress.scope import widened

JANUARY, MAY = {"start_date": "2026-01-01T00:00:00.000000Z"}, {"start_date": "2026-05-01T00:00:00.000000Z"}


def prefixes(*texts: str) -> dict[str, Any]:
    return {"event_prefixes": list(texts)}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {}),
        # Without a setting, all rows passed.
        ({}, JANUARY | {"log_level": 40} | prefixes("prefect.")),
        (JANUARY, JANUARY),
        (JANUARY, MAY),
        ({"log_level": 20}, {"log_level": 20}),
        ({"log_level": 20}, {"log_level": 30}),
        (prefixes("prefect.", "shop."), prefixes("shop.", "prefect.")),
        (prefixes("prefect.", "shop."), prefixes("prefect.")),
        (prefixes("prefect."), prefixes("prefect.flow-run.", "prefect.work-pool.")),
        ({}, {"leave_out": ["parameters"]}),
        ({"leave_out": ["parameters"]}, {"leave_out": ["parameters", "task_inputs"]}),
    ],
)
def test_the_same_or_fewer_rows_are_covered(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    assert widened(before, now) == []


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        (MAY, JANUARY, ["start_date"]),
        (MAY, {}, ["start_date"]),
        ({"log_level": 30}, {"log_level": 20}, ["log_level"]),
        ({"log_level": 30}, {}, ["log_level"]),
        (prefixes("prefect."), {}, ["event_prefixes"]),
        (prefixes("prefect."), prefixes("prefect.", "shop."), ["event_prefixes"]),
        (prefixes("prefect.flow-run."), prefixes("prefect."), ["event_prefixes"]),
        ({"leave_out": ["parameters"]}, {}, ["leave_out"]),
        ({"leave_out": ["parameters", "task_inputs"]}, {"leave_out": ["task_inputs"]}, ["leave_out"]),
        ({"leave_out": ["parameters"]}, {"leave_out": ["task_inputs"]}, ["leave_out"]),
        (MAY | {"log_level": 30} | prefixes("shop."), {}, ["start_date", "log_level", "event_prefixes"]),
    ],
)
def test_settings_that_let_more_rows_pass_are_named(
    before: Mapping[str, Any], now: Mapping[str, Any], found: list[str]
) -> None:
    assert widened(before, now) == found


@pytest.mark.parametrize("name", ["start_date", "log_level", "event_prefixes", "leave_out"])
@pytest.mark.parametrize("value", [None, "soon", [7], {}])
def test_a_damaged_setting_of_a_state_covers_nothing(name: str, value: Any) -> None:
    assert widened({name: value}, JANUARY | {"log_level": 50} | prefixes("prefect.")) == [name]
