"""What the documentation of Prefect Cloud leaves open: seven read requests, and what they show of
the API.

    PREFECT_API_KEY=pnu_... python -m devtools.cloud_probe [ADDRESS OF A WORKSPACE]

The address is the one in the browser; without it, the first workspace is asked that the key can
read. What is printed are statuses, names of fields and forms of values: no names, ids or rows of
yours. Read it, then send it back.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

API_URL = "https://api.prefect.cloud/api"

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_WORKSPACE = re.compile(rf"/accounts?/({_UUID})/workspaces?/({_UUID})")
# What a sentence may quote of a request or of an account.
_QUOTED = re.compile(rf"{_UUID}|https?://\S+|\S+@\S+|'[^']*'|\"[^\"]*\"")

# No row matches it: an API that knows the filter answers with none.
_IMPOSSIBLE = {"is_null_": True, "before_": "1970-01-01T00:00:00Z"}


class Probe:
    """The questions, each of which is one request and a few lines of answer."""

    def __init__(self, api_url: str, key: str) -> None:
        self._api_url = api_url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"
        self._now = datetime.now(UTC)
        self._numbers: Iterator[int] = iter(range(1, 8))

    def run(self, address: str) -> Iterator[str]:
        """The lines to print. Ends early where there is no workspace to ask."""
        answer = self._get("me/workspaces")
        yield self._title("the workspaces of a key", answer)
        yield from _fields(_objects(answer))
        named = _WORKSPACE.search(address)
        first = next(iter(_objects(answer)), {})
        account, workspace = named.groups() if named else (first.get("account_id"), first.get("workspace_id"))
        if not account or not workspace:
            yield "   No workspace to ask: give the address of one."
            return
        self._workspace = f"accounts/{account}/workspaces/{workspace}"
        yield from self._limits(account)
        yield from self._end_of_task_runs()
        yield from self._order_of_runs()
        yield from self._long_span()
        yield from self._last_page()

    def _limits(self, account: str) -> Iterator[str]:
        answer = self._get(f"accounts/{account}/usage_limits")
        yield self._title("the limits of the plan", answer)
        for limits in _objects(answer):
            yield from _fields([limits])
            for name in ("orchestration_rate_limit", "log_rate_limit", "run_retention_days"):
                yield f"   {name}: {limits.get(name)}"

    def _end_of_task_runs(self) -> Iterator[str]:
        answer = self._post("task_runs/filter", limit=1, task_runs={"end_time": _IMPOSSIBLE})
        yield self._title("task runs by their end", answer)
        if answer.ok:
            yield f"   the filter is {'ignored' if _objects(answer) else 'known'}"

    def _order_of_runs(self) -> Iterator[str]:
        answer = self._post("flow_runs/filter", limit=200, sort="END_TIME_DESC")
        yield self._title("flow runs, the last to end first", answer)
        runs = _objects(answer)
        yield from _fields(runs)
        yield from _times(runs, ("created", "end_time"))
        unfinished = [run.get("end_time") is None for run in runs]
        # A page that is not full is the whole table.
        is_known = any(unfinished) and (not all(unfinished) or len(runs) == 200)
        if is_known or (runs and len(runs) == 200):
            yield f"   unfinished runs come {'first' if unfinished[0] else 'last'}"

    def _long_span(self) -> Iterator[str]:
        answer = self._events({"since": _text(self._now - timedelta(days=20))})
        yield self._title("events of 20 days", answer)
        events = _events_of(answer)
        yield from _fields(events)
        yield from _times(events, ("occurred", "received"))
        for event in events:
            age = self._now - datetime.fromisoformat(event["occurred"].replace("Z", "+00:00"))
            yield f"   the oldest event is {'more' if age > timedelta(days=14) else 'less'} than 14 days old"

    def _last_page(self) -> Iterator[str]:
        """Events older than any plan keeps; then the page after the last, or an empty page."""
        old = {"since": _text(self._now - timedelta(days=3653)), "until": _text(self._now - timedelta(days=3652))}
        answer = self._events(old)
        yield self._title("events of ten years ago", answer)
        yield from _next_page(answer)
        if address := _envelope(answer).get("next_page"):
            answer = self._get(f"{self._workspace}/events/filter/next?{address.partition('?')[2]}")
            yield self._title("the page after the last one", answer)
            return
        answer = self._events({"since": _text(self._now - timedelta(hours=1))}, event={"prefix": ["no.such.event."]})
        yield self._title("events that there are none of", answer)
        yield from _next_page(answer)

    def _events(self, occurred: dict[str, str], **filters: Any) -> requests.Response:
        return self._post("events/filter", limit=1, filter={"occurred": occurred, "order": "ASC", **filters})

    def _get(self, path: str) -> requests.Response:
        return self._session.get(f"{self._api_url}/{path}", timeout=60)

    def _post(self, path: str, **body: Any) -> requests.Response:
        return self._session.post(f"{self._api_url}/{self._workspace}/{path}", json=body, timeout=60)

    def _title(self, topic: str, answer: requests.Response) -> str:
        """The question and what came of it."""
        headers = [name for name in answer.headers if "ratelimit" in name.lower() or name.lower() == "retry-after"]
        line = f"{next(self._numbers)}. {topic}: {answer.status_code}"
        line += f", headers {', '.join(headers)}" if headers else ""
        return line + _reason(answer)


def _reason(answer: requests.Response) -> str:
    """Why a request was invalid, by its fields alone; other refusals may name whom they refuse."""
    if answer.status_code not in (400, 422):
        return ""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return ", without a detail"
    reasons = [part.get("msg") for part in detail] if isinstance(detail, list) else [detail]
    return f", {_QUOTED.sub('…', '; '.join(map(str, reasons)))[:200]}"


def _objects(answer: requests.Response) -> list[dict[str, Any]]:
    """The objects of a list, or the one that is the body; none in a refusal."""
    body = answer.json() if answer.ok else []
    return body if isinstance(body, list) else [body]


def _envelope(answer: requests.Response) -> dict[str, Any]:
    return next(iter(_objects(answer)), {})


def _events_of(answer: requests.Response) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = _envelope(answer).get("events", [])
    return events


def _fields(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    names = sorted({name for row in rows for name in row})
    if names:
        yield f"   fields: {', '.join(names)}"


def _times(rows: Sequence[dict[str, Any]], columns: Iterable[str]) -> Iterator[str]:
    """How timestamps are written, with a 0 for each digit."""
    for column in columns:
        forms = sorted({re.sub(r"\d", "0", row[column]) for row in rows if row.get(column)})
        if forms:
            yield f"   {column} looks like {', '.join(forms)}"


def _next_page(answer: requests.Response) -> Iterator[str]:
    if answer.ok:
        page = _envelope(answer)
        address = page.get("next_page")
        yield f"   events: {len(page['events'])}, next_page: {'null' if address is None else 'an address'}"


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the answers; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devtools.cloud_probe", description=__doc__)
    parser.add_argument("workspace", nargs="?", default="", help="the address of a workspace, from the browser")
    parser.add_argument("--api-url", default=API_URL, help="for a private endpoint")
    options = parser.parse_args(arguments)
    key = os.environ.get("PREFECT_API_KEY", "").strip()
    if not key:
        print("Set PREFECT_API_KEY to an API key of Prefect Cloud.", file=sys.stderr)
        return 2
    for line in Probe(options.api_url.rstrip("/"), key).run(options.workspace):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
