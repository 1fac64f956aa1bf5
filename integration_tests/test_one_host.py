"""Several Prefects behind one host do not mix."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.connector import read_here as read
from devtools.data.seeding import make_flow, make_run
from devtools.matrix.versions import chosen_python
from devtools.servers.cloud import Workspace, cloud
from devtools.servers.prefect import PrefectServer, prefect_server
from devtools.servers.proxy import Answer, Forward, Proxy, Request, proxy, send
from integration_tests.comparing import assert_equal
from integration_tests.torture.destination import Destination

PAGE_SIZE = 5


@pytest.fixture(scope="module")
def guarded() -> Iterator[PrefectServer]:
    """A second server, which wants to see a CSRF token."""
    with prefect_server({"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}, python=chosen_python()) as running:
        token = running.get("csrf-token?client=tests")["token"]
        running.headers |= {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "tests"}
        for n in range(PAGE_SIZE + 1):
            make_run(running, make_flow(running, f"guarded-{n}"))
        yield running


@pytest.fixture
def open_server(empty: PrefectServer) -> PrefectServer:
    """The first server, with rows that are not the second one's."""
    for n in range(PAGE_SIZE + 1):
        make_run(empty, make_flow(empty, f"open-{n}"))
    return empty


class Host:
    """One host that serves each of several servers under a path of its own."""

    def __init__(self, **servers: PrefectServer) -> None:
        self.servers = servers
        self.before: Callable[[str], Answer | None] = lambda _name: None

    def __call__(self, request: Request, _forward: Forward) -> Answer:
        name, _, path = request.path.partition("/api/")
        return self.before(name) or send(urlsplit(self.servers[name].url), replace(request, path=path))


@pytest.fixture
def host(open_server: PrefectServer, guarded: PrefectServer) -> Host:
    return Host(one=open_server, two=guarded, three=guarded)


@pytest.fixture
def served(host: Host) -> Iterator[Proxy]:
    with proxy("http://127.0.0.1:9", host, prefix="") as running:
        yield running


def settings(served: Proxy, name: str) -> dict[str, Any]:
    return {"connection": {"type": "server", "api_url": f"{served.origin}/{name}/api"}, "page_size": PAGE_SIZE}


def test_servers_under_different_paths_of_one_host_do_not_mix(host: Host, served: Proxy) -> None:
    streams = ["flows", "flow_runs"]
    destinations = {name: Destination() for name in host.servers}
    for _ in range(2):
        for name, destination in destinations.items():
            destination.load(read(settings(served, name), streams, destination.state).ok())
    for name, destination in destinations.items():
        assert_equal(destination, host.servers[name], *streams, url=f"{served.origin}/{name}")
        assert destination.tables["flows"].keys() == {row["id"] for row in host.servers[name].rows("flows")}
    # Each of the guarded ones has a token of its own in each sync; the open one is shown none.
    tokens = {
        name: {r.headers.get("Prefect-Csrf-Token") for r in served.log if r.path.startswith(f"{name}/api/flow")}
        for name in host.servers
    }
    assert tokens["one"] == {None}
    assert not tokens["two"] & tokens["three"] - {None}
    asked = [request.path.partition("/")[0] for request in served.log if "/csrf-token" in request.path]
    assert sorted(asked) == ["three", "three", "two", "two"]


def test_a_server_that_asks_to_slow_down_does_not_stop_the_other_of_its_host(host: Host, served: Proxy) -> None:
    numbers, refused = count(), threading.Event()

    def refuse_once(name: str) -> Answer | None:
        if name != "one" or next(numbers):
            return None
        refused.set()
        return Answer(429, b"{}", {"Content-Type": "application/json", "Retry-After": "1"})

    host.before = refuse_once
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(read, settings(served, "one"), ["flows"])
        assert refused.wait(10)
        quick = read(settings(served, "two"), ["flows"]).ok()
        assert not slow.done()
        names = slow.result(timeout=10).ok().ids("flows")
    order = [request.path.partition("/")[0] for request in served.log if request.path.endswith("flows/filter")]
    assert order.index("two") < len(order) - 1 - order[::-1].index("two") < order.index("one", 1)
    assert set(quick.ids("flows")) == {row["id"] for row in host.servers["two"].rows("flows")}
    assert set(names) == {row["id"] for row in host.servers["one"].rows("flows")}


def test_workspaces_of_one_key_do_not_mix(open_server: PrefectServer, guarded: PrefectServer) -> None:
    """Their connections are shared, their rows and states are not."""
    workspaces = [Workspace(open_server.url), Workspace(guarded.url, "Staging")]
    streams = ["flows", "flow_runs"]
    destinations = [Destination(), Destination()]
    with cloud(workspaces, more_fields=False, unfinished_first=False) as front:
        # No workspace of Prefect Cloud wants a CSRF token, as the server behind the second one
        # does.
        front.spoil = lambda request, forward: forward(replace(request, headers={**request.headers, **guarded.headers}))
        for _ in range(2):
            for workspace, destination in zip(workspaces, destinations, strict=True):
                setting = {"connection": front.connection(workspace), "page_size": PAGE_SIZE}
                destination.load(read(setting, streams, destination.state).ok())
    for workspace, server, destination in zip(workspaces, (open_server, guarded), destinations, strict=True):
        assert_equal(destination, server, *streams, workspace=workspace)
        assert destination.tables["flows"].keys() == {row["id"] for row in server.rows("flows")}
