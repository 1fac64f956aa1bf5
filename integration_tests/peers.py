"""A peer that answers whatever a test says, byte by byte."""

import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from devtools.connector import Sync, read_here
from devtools.servers.faults import impatient

ANSWER = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
TLS = b"\x16"
Speak = Callable[[socket.socket, bytes], None]


def say(status: str, body: bytes = b"[]", headers: Mapping[str, str] = {}) -> Speak:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return lambda peer, _: peer.sendall(ANSWER % (status.encode(), lines.encode(), len(body), body))


def _request(connection: socket.socket) -> bytes:
    """A whole request, or the start of one that is no HTTP; empty at the end of the connection."""
    request = b""
    while b"\r\n\r\n" not in request and not request.startswith(TLS) and (part := connection.recv(1 << 16)):
        request += part
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0 and (part := connection.recv(missing)):
        request, missing = request + part, missing - len(part)
    return request


@contextmanager
def peer(speak: Speak) -> Iterator[str]:
    """A server that hands each request to `speak`; its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while request := _request(connection):
                speak(connection, request)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"
    finally:
        listener.close()


def read(speak: Speak, **connection: Any) -> Sync:
    with peer(speak) as url, impatient():
        return read_here({"connection": {"type": "server", "api_url": url, **connection}}, ["flows"])


def said(sync: Sync) -> str:
    [sentence] = {error["message"] for error in sync.errors if "During the sync" not in error["message"]}
    assert "Traceback" not in sentence
    return str(sentence)
