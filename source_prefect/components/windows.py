from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_prefect.times import parse_time


@dataclass(frozen=True)
class Window:
    """A slice of the CDK's cursor: from `start` to `end`, both included."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, stream_slice: StreamSlice | None) -> "Window":
        """The window that a slice stands for; one without bounds is all time."""
        bounds: Mapping[str, Any] = stream_slice or {}
        return cls(
            parse_time(bounds.get("start_time")) or datetime.min.replace(tzinfo=timezone.utc),
            parse_time(bounds.get("end_time")) or datetime.max.replace(tzinfo=timezone.utc),
        )

    def is_first(self, beginning: datetime | None) -> bool:
        """Whether the windows begin with it, so that what is older belongs to it too."""
        return beginning is None or self.start <= beginning

    def is_present(self, now: datetime) -> bool:
        """Whether it goes up to the present; `now` is a time before the windows were cut."""
        return self.end >= now

    def reached(self, watermark: datetime | None, now: datetime) -> datetime | None:
        """How far a window that was read to its end brings the cursor, if it does.

        One that goes up to the present brings it to the watermark; an older one to its own end if that is no later.
        """
        if watermark is None or self.is_present(now):
            return watermark
        return self.end if self.end <= watermark else None
