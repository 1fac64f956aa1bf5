"""Prefect Cloud's events: how far back a request may ask, and how pages differ from a server's."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from devtools.servers.cloud.answers import refusal
from devtools.servers.cloud.settings import LONGEST_SPAN, Limits, Plan, Settings, Workspace
from devtools.servers.proxy import Answer

Body = dict[str, Any]

# What the token of a last page holds. The server that made the real ones cannot read it.
DANGLING = base64.b64encode(b"end").decode()


def within_limits(body: Body | None, settings: Settings) -> Body | Answer:
    """The body of a request for events as far as the plan allows it, or the refusal."""
    body = body or {}
    now = settings.clock()
    longest = min(LONGEST_SPAN, settings.plan.retention)
    kept_since = now - settings.plan.retention
    occurred = (body.get("filter") or {}).get("occurred") or {}
    until = _time(occurred.get("until")) or now
    since = _time(occurred.get("since")) or max(until - longest, kept_since)
    if settings.event_limits is Limits.REFUSE:
        if until - since > longest:
            return _refused(settings, f"The time range must be at most {longest.days} days.")
        if since < kept_since:
            return _refused(settings, f"Events are kept for {settings.plan.retention_days} days.")
    if settings.event_limits is Limits.CLAMP:
        # Where nothing is left, an empty time: since is after until.
        since = max(since, until - longest, kept_since)
    allowed = {**occurred, "since": since.isoformat(), "until": until.isoformat()}
    return {**body, "filter": {**(body.get("filter") or {}), "occurred": allowed}}


def page(answer: Answer, url: str, workspace: Workspace, settings: Settings) -> Answer:
    """A server's page of events as Cloud would answer it; `url` is the workspace's own address."""
    if answer.status != 200:
        return answer
    found = answer.rows
    token = _token(found["next_page"])
    if token:
        token = _with_scope(token, workspace)
    elif settings.dangling_token:
        token = DANGLING
    events = [_event(event, workspace, settings) for event in found["events"]]
    next_page = f"{url}/events/filter/next?page-token={token}" if token else None
    return answer.with_rows({**found, "events": events, "next_page": next_page})


def cloud_events(plan: Plan, workspace: Workspace, occurred: datetime) -> list[Body]:
    """Events that only Cloud has, to be posted to a server: log lines, automations, audit log."""
    actor = {"prefect.resource.id": f"prefect-cloud.user.{uuid4()}", "prefect.resource.role": "actor"}
    names = {
        "prefect.log.write": f"prefect.flow-run.{uuid4()}",
        "prefect-cloud.automation.triggered": f"prefect-cloud.automation.{uuid4()}",
        "prefect-cloud.automation.action.executed": f"prefect-cloud.automation.{uuid4()}",
        "prefect-cloud.workspace.updated": f"prefect-cloud.workspace.{workspace.workspace_id}",
    }
    return [
        {"id": str(uuid4()), "occurred": (occurred + timedelta(seconds=n)).isoformat(), "event": name,
         "resource": {"prefect.resource.id": resource}, "related": [actor], "payload": {"plan": plan.name}}
        for n, (name, resource) in enumerate(names.items())
    ]  # fmt: skip


def _refused(settings: Settings, sentence: str) -> Answer:
    if settings.refusal == 400:
        return refusal(400, sentence)
    place = ["body", "filter", "occurred"]
    return refusal(settings.refusal, [{"loc": place, "msg": sentence, "type": "value_error"}])


def _event(event: Body, workspace: Workspace, settings: Settings) -> Body:
    more = {"account": workspace.account_id, "workspace": workspace.workspace_id} if settings.more_fields else {}
    if settings.offset_in_times:
        more |= {name: event[name].replace("Z", "+00:00") for name in ("occurred", "received")}
    return {**event, **more}


def _token(next_page: str | None) -> str | None:
    return parse_qs(urlsplit(next_page).query)["page-token"][0] if next_page else None


def _with_scope(token: str, workspace: Workspace) -> str:
    """The token with what Cloud's has besides: whose events they are. It is encoded twice."""
    content = json.loads(base64.b64decode(base64.b64decode(token)))
    content["scope"] = {"account": workspace.account_id, "workspace": workspace.workspace_id}
    return base64.b64encode(base64.b64encode(json.dumps(content).encode())).decode()


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
