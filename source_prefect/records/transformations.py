"""What the manifest does to a record, in place. None needs the CDK's config and state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.declarative.transformations import RecordTransformation
from airbyte_cdk.sources.types import StreamSlice

from source_prefect.records.flatten import Flattener, objects_in

_JSON_TYPES = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object", list: "array"}


@dataclass
class FlattenRecord(RecordTransformation):
    """Nested objects as columns, arrays and free maps as JSON text.

    The CDK's `FlattenFields` would make a column of every key that a user chose, and leaves arrays
    unchanged.
    """

    objects: Sequence[str] = ()
    text_columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._flattener = Flattener(self.objects, self.text_columns)

    def transform(self, record: dict[str, Any], *_: Any, **__: Any) -> None:
        self._flattener.flatten(record)


@dataclass
class LinkToUi(RecordTransformation):
    """`ui_url`, the record's page in the UI. `AddFields` would render a template for every row."""

    ui_path: str

    def transform(self, record: dict[str, Any], *_: Any, stream_slice: StreamSlice | None = None, **__: Any) -> None:
        base = stream_slice["ui_url"] if stream_slice else ""
        record["ui_url"] = f"{base}/{self.ui_path}/{record['id']}" if record.get("id") else None


@dataclass
class DescribeSchedule(RecordTransformation):
    """A deployment's `schedule` as text, and `is_schedule_active`.

    `schedules` holds one object per schedule, each of one of three shapes.
    """

    def transform(self, record: dict[str, Any], *_: Any, **__: Any) -> None:
        active = [entry for entry in objects_in(record.get("schedules")) if entry.get("active")]
        record["schedule"] = _schedule_text(active[0].get("schedule")) if active else None
        record["is_schedule_active"] = bool(active) and not is_off(record)


def is_off(deployment: Mapping[str, Any]) -> bool:
    """Whether no schedule creates runs, active or not. Only Prefect Cloud disables deployments."""
    return bool(deployment.get("paused") or deployment.get("disabled"))


def _schedule_text(schedule: Any) -> str | None:
    """The cron, `every 3600s`, or the rrule."""
    if not isinstance(schedule, dict):
        return None
    interval = schedule.get("interval")
    if isinstance(interval, int | float):
        return f"every {interval:.15g}s"
    return schedule.get("cron") or schedule.get("rrule")


@dataclass
class NameValueType(RecordTransformation):
    """`value_type`, a variable's JSON type: as text, the number 1 and the text "1" look alike."""

    config: Mapping[str, Any]

    def transform(self, record: dict[str, Any], *_: Any, **__: Any) -> None:
        is_left_out = "variable_values" in self.config["leave_out"]
        record["value_type"] = None if is_left_out else _JSON_TYPES.get(type(record.get("value")), "null")
