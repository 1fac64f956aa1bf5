"""A proxy that adds latency to each request and remembers what was asked, in a process of its own.

It passes bytes on as they are, one request of a connection at a time, as HTTP/1.1 clients send
them. Every contender reads through it, with no latency as well: so all pay the same for being
watched.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

TAKEN = "/taken"


@dataclass
class Taken:
    """A request: when it arrived, by `perf_counter`, and the seconds of the server's answer."""

    at: float
    path: str
    body: Any
    size: int
    seconds: float


@dataclass
class SlowServer:
    """The API of a server behind the proxy."""

    url: str

    def taken(self) -> list[Taken]:
        """The requests since the last call."""
        origin = urlsplit(self.url)
        answer = requests.get(f"{origin.scheme}://{origin.netloc}{TAKEN}", timeout=60)
        return [Taken(**entry) for entry in answer.json()]


@contextmanager
def slow_server(url: str, latency: float) -> Iterator[SlowServer]:
    """Serve the API at `url` with so many seconds of latency until the block ends."""
    upstream = urlsplit(url)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.latency", str(upstream.port), str(latency)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield SlowServer(f"http://127.0.0.1:{int(process.stdout.readline())}{upstream.path}")
    finally:
        process.terminate()
        process.wait()


class _Proxy:
    def __init__(self, port: int, latency: float) -> None:
        self._port = port
        self._latency = latency
        self._taken: list[Taken] = []

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=2**20)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                head, body = await _message(reader)
                path = head.split(b" ", 2)[1].decode()
                if path == TAKEN:
                    writer.write(self._answer())
                    continue
                at = time.perf_counter()
                await asyncio.sleep(self._latency)
                began = time.perf_counter()
                # The server ends connections that were idle for a while.
                if server is None or server[0].at_eof():
                    server = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
                server[1].write(head + body)
                answer_head, answer = await _message(server[0])
                self._taken.append(
                    Taken(at, path, json.loads(body) if body else None, len(answer), time.perf_counter() - began)
                )
                writer.write(answer_head + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()
            if server:
                server[1].close()

    def _answer(self) -> bytes:
        body = json.dumps([asdict(taken) for taken in self._taken]).encode()
        self._taken.clear()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return head, await reader.readexactly(int(length[1])) if length else b""


if __name__ == "__main__":
    asyncio.run(_Proxy(int(sys.argv[1]), float(sys.argv[2])).serve())
