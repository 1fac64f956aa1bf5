import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from devtools.servers.cloud import accounts, answers, events, order
from devtools.servers.cloud.rate import RateLimit
from devtools.servers.cloud.rows import Columns
from devtools.servers.cloud.settings import LONGEST_BODY, Key, Settings, Workspace
from devtools.servers.proxy import Answer, Behaviour, Forward, Proxy, Request, pass_on, proxy, send

_WORKSPACE = re.compile(r"accounts/([^/?]+)/workspaces/([^/?]+)/(.*)")


class Cloud:
    """A running stand-in. Workspaces, keys and the fault `spoil` may be changed at any time."""

    def __init__(self, workspaces: Sequence[Workspace], keys: Sequence[Key], settings: Settings) -> None:
        self.workspaces = list(workspaces)
        self.keys = list(keys)
        self.settings = settings
        # So many requests more are answered with a 503 that says that Cloud is under maintenance.
        self.maintenance = 0
        self.maintenance_retry_after: float | None = None
        self.disabled_deployments: set[str] = set()
        # What else happens to requests on the way to a workspace, such as
        # `devtools.servers.faults.RandomFaults`.
        self.spoil: Behaviour = pass_on
        self.proxy: Proxy
        self._rate = RateLimit(settings.plan.requests_per_minute, settings.minute)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The API's address, as the connector's `api_url` has it."""
        return self.proxy.url

    @property
    def log(self) -> list[Request]:
        return self.proxy.log

    def connection(self, workspace: Workspace | None = None, key: Key | None = None, **more: Any) -> dict[str, Any]:
        """A config's `connection` to one workspace, the first by default."""
        chosen = workspace or self.workspaces[0]
        ids = {"account_id": chosen.account_id, "workspace_id": chosen.workspace_id}
        return {"type": "cloud", "api_key": (key or self.keys[0]).text, "api_url": self.url, **ids, **more}

    def requests(self, path: str, workspace: Workspace | None = None) -> list[Request]:
        """The requests so far for a path of one workspace, the first by default."""
        return self.proxy.requests(f"{(workspace or self.workspaces[0]).path}/{path}")

    def record_cloud_events(self, at: datetime | None = None, workspace: Workspace | None = None) -> list[str]:
        """Let things happen that are events on Cloud only; their ids."""
        chosen = workspace or self.workspaces[0]
        happened = events.cloud_events(self.settings.plan, chosen, at or self.settings.clock())
        requests.post(f"{chosen.server_url}/events", json=happened, timeout=60).raise_for_status()
        return [event["id"] for event in happened]

    def __call__(self, request: Request, _forward: Forward) -> Answer:
        # Its own, not that of the server behind it.
        answer = self._answer(request).without("Date")
        answer.headers["Date"] = format_datetime(self.settings.clock(), usegmt=True)
        return answer

    def _answer(self, request: Request) -> Answer:
        key = next((key for key in self.keys if _header(request, "Authorization") == f"Bearer {key.text}"), None)
        refused = self._under_maintenance() or _ill_sized(request)
        if refused:
            return refused
        if key is None:
            return answers.unauthorized()
        path = request.path.partition("?")[0].strip("/")
        if path == "me":
            return accounts.me(key)
        if path == "me/workspaces":
            return accounts.my_workspaces(self.workspaces, key)
        if named := _WORKSPACE.fullmatch(request.path):
            return self._answer_of_workspace(request, key, *named.groups())
        if path.startswith("accounts/"):
            segments = path.split("/")[1:]
            return self._too_fast(segments[0]) or accounts.account(segments, self.workspaces, key, self.settings.plan)
        return answers.not_found()

    def _under_maintenance(self) -> Answer | None:
        with self._lock:
            if not self.maintenance:
                return None
            self.maintenance -= 1
            return answers.maintenance(self.maintenance_retry_after)

    def _too_fast(self, account_id: str) -> Answer | None:
        seconds = self._rate.wait(account_id) if self.settings.rate_limit else 0.0
        return answers.too_many_requests(seconds) if seconds else None

    def _answer_of_workspace(self, request: Request, key: Key, account_id: str, workspace_id: str, path: str) -> Answer:
        if refused := self._too_fast(account_id):
            return refused
        ids = account_id.lower(), workspace_id.lower()
        workspace = next((w for w in self.workspaces if (w.account_id, w.workspace_id) == ids and key.reads(w)), None)
        if workspace is None:
            return answers.not_found()
        if account_id in self.settings.private_accounts or path.split("/")[0] in self.settings.missing_tables:
            return answers.forbidden()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
        asked = replace(request, path=path, headers=headers)
        return self.spoil(asked, lambda it: _Translation(self, workspace).answer(it))


class _Translation:
    """A request for a workspace as its server understands it; the answer as Cloud gives it."""

    def __init__(self, front: Cloud, workspace: Workspace) -> None:
        self._settings = front.settings
        self._workspace = workspace
        self._url = f"{front.url}/{workspace.path}"
        self._columns = Columns(workspace, self._rows_of, front.disabled_deployments)

    def answer(self, request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        table = path.removesuffix("/filter")
        if path == "events/filter":
            return self._events(request)
        if path == "events/filter/next":
            if events.DANGLING in query:
                return answers.server_error()
            return events.page(self._send(request), self._url, self._workspace, self._settings)
        body = request.body or {}
        if path != table and self._settings.unfinished_first and order.is_affected(table, body):
            answer = Answer.of(order.unfinished_first(table, body, self._ask))
        else:
            answer = self._send(request)
        if path == table or answer.status != 200 or not self._settings.more_fields:
            return answer
        return answer.with_rows(self._columns.add_to(table, answer.rows))

    def _events(self, request: Request) -> Answer:
        body = events.within_limits(request.body, self._settings)
        if isinstance(body, Answer):
            return body
        answer = self._send(replace(request, body=body))
        return events.page(answer, self._url, self._workspace, self._settings)

    def _send(self, request: Request) -> Answer:
        return send(urlsplit(self._workspace.server_url), request)

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        return requests.post(f"{self._workspace.server_url}/{path}", json=body, timeout=60).json()

    def _rows_of(self, table: str, **body: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._ask(f"{table}/filter", body)
        return rows


@contextmanager
def cloud(workspaces: Sequence[Workspace], *, keys: Sequence[Key] = (Key(),), **ways: Any) -> Iterator[Cloud]:
    """Serve these workspaces as Cloud would, until the block ends; `ways` are for `Settings`."""
    front = Cloud(workspaces, keys, Settings(**ways))
    with proxy(workspaces[0].server_url, front) as served:
        front.proxy = served
        yield front


def _ill_sized(request: Request) -> Answer | None:
    length = _header(request, "Content-Length")
    if request.method == "POST" and length is None:
        return answers.length_required()
    return answers.too_large() if length and int(length) > LONGEST_BODY else None


def _header(request: Request, name: str) -> str | None:
    return next((value for key, value in request.headers.items() if key.lower() == name.lower()), None)
