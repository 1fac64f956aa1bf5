"""What a person types by mistake is named, or understood."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devtools.connector import run, run_here
from devtools.servers.faults import impatient
from devtools.servers.prefect import PrefectServer
from integration_tests.peers import peer, read, said, say

ROOT = Path(__file__).parents[1]
UUID = "01234567-89ab-cdef-0123-456789abcdef"


def check(**connection: Any) -> str:
    with impatient():
        [status] = [
            m["connectionStatus"] for m in run_here("check", {"connection": connection}) if "connectionStatus" in m
        ]
    return str(status.get("message"))


def test_the_other_scheme_is_named() -> None:
    with peer(say("400 Bad Request")) as url:
        sentence = check(type="server", api_url=url.replace("http:", "https:"))
    assert "speaks plain http: its address begins with http://" in sentence
    assert "Does its address begin with https://?" in said(read(lambda connection, _: connection.close()))


@pytest.mark.parametrize("ids", [{"account_id": UUID, "workspace_id": UUID}, {}, {"workspaces": ["all"]}])
def test_a_cloud_connection_to_a_server_says_so(server: PrefectServer, ids: dict[str, Any]) -> None:
    sentence = check(type="cloud", api_key="pnu_0123456789", api_url=server.url, **ids)
    assert "connection.api_url leads to a Prefect Server: choose Prefect Server" in sentence


def test_an_output_without_a_catalog_is_named_by_the_example() -> None:
    wrong = {"type": "TRACE", "trace": {"error": {"message": "connection.api_url is missing."}}}
    for given, sentence in ((json.dumps(wrong), "connection.api_url is missing."), ("", "successful `source-prefect")):
        command = [sys.executable, str(ROOT / "examples" / "make_catalog.py")]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_discover_asks_no_server() -> None:
    messages = run("discover", {"connection": {"type": "server", "api_url": "http://127.0.0.1:9"}})
    assert [message["type"] for message in messages] == ["CATALOG"]


def test_what_the_steps_of_the_readme_write_is_ignored_by_git() -> None:
    files = [
        "config.json",
        "catalog.json",
        "discovered.json",
        "messages.jsonl",
        "state.json",
        "dbt/target/x",
        "dbt/logs/x",
    ]
    done = subprocess.run(["git", "check-ignore", *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == files
