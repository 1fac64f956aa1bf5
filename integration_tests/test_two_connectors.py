"""Two connectors of one process, each with its own server and its own secret."""

import json
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from devtools.connector import read_here
from devtools.servers.faults import impatient
from integration_tests.peers import Speak, peer, say
from source_prefect import SourcePrefect

SECRETS = ["first:secret-of-one", "other:secret-of-two"]


def by_command(config: dict[str, Any]) -> str:
    sync = read_here(config, ["flows"])
    return json.dumps([sync.errors, sync.logs])


def by_check(config: dict[str, Any]) -> str:
    return str(SourcePrefect().check(logging.getLogger("airbyte"), config).message)


@pytest.mark.parametrize("command", [by_command, by_check])
def test_neither_prints_a_secret_while_the_other_one_reads(command: Callable[[dict[str, Any]], str]) -> None:
    both_have_begun = threading.Barrier(len(SECRETS))

    def echo(secret: str) -> Speak:
        begun = threading.Event()

        def speak(connection: socket.socket, request: bytes) -> None:
            if not begun.is_set():
                begun.set()
                both_have_begun.wait(timeout=60)
            say("418 Teapot", f"Of {secret[:5]}, I know {secret}".encode())(connection, request)

        return speak

    with impatient(), ExitStack() as stack, ThreadPoolExecutor() as threads:
        urls = [stack.enter_context(peer(echo(secret))) for secret in SECRETS]
        connections = [
            {"connection": {"type": "server", "api_url": url, "auth_string": secret}}
            for url, secret in zip(urls, SECRETS, strict=True)
        ]
        for secret, printed in zip(SECRETS, threads.map(command, connections), strict=True):
            assert f"Of {secret[:5]}, I know ****" in printed
            assert not any(each.partition(":")[2] in printed for each in SECRETS)
