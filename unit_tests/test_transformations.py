"""What the manifest does to a record."""

from typing import Any

import pytest
from airbyte_cdk.sources.types import StreamSlice

from source_prefect.records.transformations import (
    DescribeSchedule,
    FlattenRecord,
    LinkToUi,
    NameValueType,
    is_off,
)

CRON = {"cron": "0 6 * * *", "timezone": "UTC"}


def test_nested_objects_become_columns_and_the_rest_json_text() -> None:
    record = {"id": "r", "state": {"name": "Late"}, "tags": ["a"], "value": 5}
    FlattenRecord(objects=["state"], text_columns=["value"]).transform(record)
    assert record == {"id": "r", "state_name": "Late", "tags": '["a"]', "value": "5"}


@pytest.mark.parametrize(
    ("record", "url"),
    [
        ({"id": "f-1"}, "http://localhost:4200/flows/flow/f-1"),
        ({"id": ""}, None),
        ({"id": None}, None),
        ({}, None),
    ],
)
def test_a_record_with_an_id_has_a_page_in_the_ui(record: dict[str, Any], url: str | None) -> None:
    workspace = StreamSlice(partition={"ui_url": "http://localhost:4200"}, cursor_slice={})
    LinkToUi("flows/flow").transform(record, stream_slice=workspace)
    assert record["ui_url"] == url


def test_outside_of_a_workspace_the_page_is_named_without_its_host() -> None:
    record = {"id": "f-1"}
    LinkToUi("flows/flow").transform(record)
    assert record["ui_url"] == "/flows/flow/f-1"


def described(**deployment: Any) -> tuple[str | None, bool]:
    DescribeSchedule().transform(deployment)
    return deployment["schedule"], deployment["is_schedule_active"]


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (CRON, "0 6 * * *"),
        ({"interval": 3600, "anchor_date": "2026-11-20T00:00:00Z"}, "every 3600s"),
        ({"interval": 0.5}, "every 0.5s"),
        ({"interval": 86400.0}, "every 86400s"),
        ({"interval": 31557600123.5}, "every 31557600123.5s"),
        ({"rrule": "FREQ=DAILY", "timezone": "UTC"}, "FREQ=DAILY"),
        ({}, None),
        ("daily", None),
        (None, None),
    ],
)
def test_a_schedule_of_each_shape_is_text(schedule: Any, text: str | None) -> None:
    assert described(schedules=[{"active": True, "schedule": schedule}]) == (text, True)


def test_the_first_active_schedule_counts() -> None:
    schedules = [{"active": active, "schedule": {"cron": str(n)}} for n, active in enumerate([False, True, True])]
    assert described(schedules=schedules) == ("1", True)
    assert described(schedules=schedules[:1]) == (None, False)


@pytest.mark.parametrize("schedules", [[], None, "daily", ["daily"]])
def test_without_a_schedule_none_is_active(schedules: Any) -> None:
    assert described(schedules=schedules) == (None, False)
    assert described() == (None, False)


@pytest.mark.parametrize("off", [{"paused": True}, {"disabled": True}, {"paused": True, "disabled": True}])
def test_a_deployment_that_is_paused_or_disabled_keeps_its_schedule_but_follows_none(off: dict[str, bool]) -> None:
    assert described(schedules=[{"active": True, "schedule": CRON}], **off) == ("0 6 * * *", False)
    assert is_off(off)


@pytest.mark.parametrize("on", [{}, {"paused": False, "disabled": False}, {"paused": None}])
def test_any_other_deployment_is_on(on: dict[str, Any]) -> None:
    assert described(schedules=[{"active": True, "schedule": CRON}], **on) == ("0 6 * * *", True)
    assert is_off(on) is False


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "boolean"),
        (1, "number"),
        (1.5, "number"),
        ("1", "string"),
        ({"a": 1}, "object"),
        ([1], "array"),
        (None, "null"),
    ],
)
def test_the_json_type_of_a_variable_is_named_unless_values_are_left_out(value: Any, kind: str) -> None:
    record = {"value": value}
    NameValueType({"leave_out": ["log_messages"]}).transform(record)
    assert record == {"value": value, "value_type": kind}
    NameValueType({"leave_out": ["log_messages", "variable_values"]}).transform(record)
    assert record == {"value": value, "value_type": None}
