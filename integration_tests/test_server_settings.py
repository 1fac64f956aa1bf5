"""What a server's own settings change: the paths of its API and UI, how long it keeps events."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from devtools.connector import read_here, run_here
from devtools.data.seeding import make_one_of_everything, now, state_at
from devtools.servers.prefect import QUIET, PrefectServer, prefect_server
from devtools.servers.proxy import proxy


@pytest.fixture(scope="module")
def moved() -> Iterator[PrefectServer]:
    with prefect_server(
        {**QUIET, "PREFECT_UI_SERVE_BASE": "/ui", "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "PT12H"}
    ) as running:
        make_one_of_everything(running)
        yield running


def config(url: str, **connection: Any) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": url, **connection}}


@pytest.mark.parametrize("base", ["/custom-api", "/prefect/api", "/a/b"])
@pytest.mark.parametrize("written", ["", "/", "/api", "/flows"])
def test_the_api_is_found_wherever_the_server_has_put_it(moved: PrefectServer, base: str, written: str) -> None:
    with proxy(moved.url, prefix=base) as front:
        address = f"{front.origin}{base.removesuffix('/api')}{written}"
        [status] = [it["connectionStatus"] for it in run_here("check", config(address)) if "connectionStatus" in it]
        assert status["status"] == "SUCCEEDED", status
        assert read_here(config(address), ["flows"]).ok().records["flows"]


def test_links_lead_to_the_ui_that_the_server_reports_or_the_user_names(moved: PrefectServer) -> None:
    root = moved.url.removesuffix("/api")
    for connection, ui in [({}, f"{root}/ui"), ({"ui_url": "prefect.example.com"}, "https://prefect.example.com")]:
        sync = read_here(config(moved.url, **connection), ["flows", "flow_runs"]).ok()
        links = [record["ui_url"] for stream in ("flows", "flow_runs") for record in sync.records[stream]]
        assert links
        assert all(link.startswith(f"{ui}/") and "/api" not in link for link in links)


def test_a_server_that_keeps_events_for_hours_is_warned_of_in_time(moved: PrefectServer) -> None:
    for hours, is_warned in ((11, False), (13, True)):
        since = now() - timedelta(hours=hours)
        state = state_at(since, "logs", "events")
        for message, column in zip(state, ("timestamp", "occurred"), strict=True):
            message["stream"]["stream_state"] = {column: message["stream"]["stream_state"]["updated"]}
        sync = read_here(config(moved.url), ["logs", "events"], state).ok()
        warnings = [line for line in sync.logs if "is missing" in line]
        assert len(warnings) == is_warned
        assert all("events: read so far" in each and "keeps events for 12 hours" in each for each in warnings)
