"""A proxy in front of a real server: it counts requests, and does to them what a test asks."""

import gzip
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit


@dataclass
class Request:
    """A request as it came. `path` is relative to the API, without a slash in front."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    number: int


@dataclass
class Answer:
    """An answer to send instead of the server's, or the server's own, to look at and change."""

    status: int = 200
    body: bytes = b"[]"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    # Send only so many bytes of the body, then close the connection.
    cut_after: int | None = None
    # Close the connection without a word.
    reset: bool = False
    # Say nothing for so many seconds first.
    delay: float = 0.0
    # Send the body byte by byte, with so many seconds between two, and never end.
    trickle: float = 0.0

    @property
    def rows(self) -> Any:
        return json.loads(self.body)

    @classmethod
    def of(cls, rows: Any) -> "Answer":
        return cls(body=json.dumps(rows).encode())

    def with_rows(self, rows: Any) -> "Answer":
        """The same answer with another body."""
        return replace(self, body=json.dumps(rows).encode())

    def without(self, header: str) -> "Answer":
        """The same answer without a header, however it is spelt."""
        return replace(self, headers={k: v for k, v in self.headers.items() if k.lower() != header.lower()})


Forward = Callable[[Request], Answer]
Behaviour = Callable[[Request, Forward], Answer]


# The question for the server's time, which one stream of a sync asks. It is not in the log.
TIME = "health"
# Nor are the server's own settings, which the first row with a link asks for.
SETTINGS = "admin/settings"


def pass_on(request: Request, forward: Forward) -> Answer:
    return forward(request)


def without_date(request: Request, forward: Forward) -> Answer:
    """As behind a proxy that drops the server's clock."""
    return forward(request).without("Date")


def send(upstream: SplitResult, request: Request) -> Answer:
    """What the API at an address answers to a request."""
    connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=120)
    dropped = {"host", "content-length", "connection", "accept-encoding"}
    headers = {key: value for key, value in request.headers.items() if key.lower() not in dropped}
    body = None if request.body is None else json.dumps(request.body)
    try:
        connection.request(request.method, f"{upstream.path}/{request.path}", body, headers)
        response = connection.getresponse()
        content = response.read()
        kept = {
            key: value
            for key, value in response.getheaders()
            if key.lower() not in {"content-length", "transfer-encoding", "connection", "content-encoding"}
        }
        if response.getheader("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        return Answer(response.status, content, kept)
    finally:
        connection.close()


class Proxy:
    """`behaviour` decides each answer and may change at any time; `log` holds the requests."""

    def __init__(self, upstream: str, behaviour: Behaviour, prefix: str, tls: ssl.SSLContext | None) -> None:
        self.upstream = urlsplit(upstream)
        self.behaviour = behaviour
        self.prefix = prefix.rstrip("/")
        self.log: list[Request] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.tls = tls

    @property
    def origin(self) -> str:
        return f"{'https' if self._server.tls else 'http'}://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return self.origin + self.prefix

    def requests(self, path: str) -> list[Request]:
        return [request for request in self.log if request.path == path]

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def proxy(
    upstream: str, behaviour: Behaviour = pass_on, *, prefix: str = "/api", tls: ssl.SSLContext | None = None
) -> Iterator[Proxy]:
    """Serve the API at `upstream` under `prefix` until the block ends. Other paths get a 404."""
    served = Proxy(upstream, behaviour, prefix, tls)
    thread = threading.Thread(target=served.serve, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        if self.tls:
            # The handshake is left to the handler's thread.
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients that break off are what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    # Without it every answer waits for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        prefix = self.proxy.prefix + "/"
        if not self.path.startswith(prefix):
            self._send(Answer(404, b'{"detail":"Not Found"}'))
            return
        path, headers = self.path[len(prefix) :], dict(self.headers.items())
        if path == SETTINGS:
            self._send(send(self.proxy.upstream, Request(self.command, path, headers, None, -1)))
            return
        if path == TIME:
            self._send(self._time(Request(self.command, path, headers, {}, -1)))
            return
        with self.proxy.lock:
            body = json.loads(raw) if raw else None
            request = Request(self.command, path, headers, body, len(self.proxy.log))
            self.proxy.log.append(request)
        self._send(self.proxy.behaviour(request, lambda it: send(self.proxy.upstream, it)))

    def _time(self, request: Request) -> Answer:
        def forward(request: Request) -> Answer:
            return send(self.proxy.upstream, replace(request, body=None))

        try:
            return self.proxy.behaviour(request, forward)
        except (LookupError, TypeError):  # It looks for what the request and the answer of a page hold.
            return forward(request)

    do_GET = do_POST = handle_any  # noqa: N815  (the names that http.server looks for)

    def _send(self, answer: Answer) -> None:
        self.proxy.closing.wait(answer.delay)
        if answer.reset:
            self.close_connection = True
            self.connection.close()
            return
        if answer.trickle:
            self._trickle(answer.trickle)
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: answer.cut_after])
        if answer.cut_after is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()

    def _trickle(self, pause: float) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            while not self.proxy.closing.wait(pause):
                self.wfile.write(b" ")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
