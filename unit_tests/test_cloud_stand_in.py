"""The parts of the stand-in for Prefect Cloud that need no server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devtools.servers.cloud import HOBBY, PRO, STARTER, TEAM, Limits, Plan, Settings
from devtools.servers.cloud.events import within_limits
from devtools.servers.cloud.rate import RateLimit
from devtools.servers.proxy import Answer

DAY = timedelta(days=1)


def test_the_plans_are_those_of_prefects_documentation() -> None:
    assert [(plan.requests_per_minute, plan.retention_days) for plan in (HOBBY, STARTER, TEAM, PRO)] == [
        (625, 7),
        (1_250, 7),
        (2_500, 14),
        (5_000, 30),
    ]


def test_a_minute_has_so_many_requests_for_each_account() -> None:
    now = 0.0
    limit = RateLimit(2, 60.0, clock=lambda: now)
    assert [limit.wait("a"), limit.wait("a"), limit.wait("b")] == [0.0, 0.0, 0.0]
    now = 12.5
    assert (limit.wait("a"), limit.wait("b")) == (47.5, 0.0)
    now = 60.0
    assert (limit.wait("a"), limit.wait("a"), limit.wait("a")) == (0.0, 0.0, 60.0)


@pytest.mark.parametrize(
    ("plan", "since", "until", "refused"),
    [
        (PRO, 13, None, False),
        (PRO, 15, None, True),
        (PRO, 29, 16, False),
        (PRO, 31, 29, True),
        (TEAM, 13, None, False),
        (TEAM, 15, 2, True),
        (HOBBY, 6, None, False),
        (HOBBY, 8, None, True),
        (HOBBY, 8, 2, True),
    ],
)
def test_events_of_too_long_or_too_long_ago_are_refused(
    plan: Plan, since: int, until: int | None, refused: bool
) -> None:
    for status in (422, 400):
        allowed = _within_limits(since, until, plan=plan, event_limits=Limits.REFUSE, refusal=status)
        assert isinstance(allowed, Answer) == refused
        assert not isinstance(allowed, Answer) or allowed.status == status


@pytest.mark.parametrize(
    ("plan", "since", "until", "clamped_to"),
    [(PRO, 13, 0, 13), (PRO, 20, 0, 14), (PRO, 40, 25, 30), (TEAM, 15, 2, 14), (HOBBY, 13, 0, 7)],
)
def test_or_only_the_newer_part_of_them_is_given(plan: Plan, since: int, until: int, clamped_to: int) -> None:
    allowed = _within_limits(since, until, plan=plan, event_limits=Limits.CLAMP)
    assert not isinstance(allowed, Answer)
    occurred = allowed["filter"]["occurred"]
    assert round(_age(occurred["since"]) / DAY, 3) == clamped_to
    assert round(_age(occurred["until"]) / DAY, 3) == until
    assert allowed["filter"]["order"] == "ASC"


def test_a_time_before_what_is_kept_is_an_empty_one_where_it_is_not_refused() -> None:
    allowed = _within_limits(20, 10, plan=HOBBY, event_limits=Limits.CLAMP)
    assert not isinstance(allowed, Answer)
    occurred = allowed["filter"]["occurred"]
    assert occurred["since"] > occurred["until"]


def test_without_limits_everything_may_be_asked_for() -> None:
    allowed = _within_limits(180, 0, event_limits=Limits.NONE)
    assert not isinstance(allowed, Answer)
    assert round(_age(allowed["filter"]["occurred"]["since"]) / DAY, 3) == 180


def _within_limits(since: int, until: int | None, **ways: Any) -> dict[str, Any] | Answer:
    """What is left of a request for events from `since` to `until` days ago, or until now."""
    now = datetime.now(UTC)
    occurred = {"since": (now - since * DAY).isoformat()}
    if until is not None:
        occurred["until"] = (now - until * DAY).isoformat()
    return within_limits({"filter": {"occurred": occurred, "order": "ASC"}, "limit": 50}, Settings(**ways))


def _age(text: str) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(text)
