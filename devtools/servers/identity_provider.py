"""An identity provider for tests: it gives access tokens for client credentials (RFC 6749)."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs
from uuid import uuid4

CLIENT_ID, CLIENT_SECRET = "airbyte", "1e10+a secret/that looks like a number"


@dataclass
class Tokens:
    """A running provider. It states the `lifetime` of its tokens in seconds, or, if None, not."""

    lifetime: int | None = 3600
    # Each request, as its fields.
    asked: list[dict[str, str]] = field(default_factory=list)
    # Each token, and when it was given.
    given: dict[str, float] = field(default_factory=dict)
    # What it answers in place of tokens, in turn.
    failures: list[int] = field(default_factory=list)
    # In seconds, before each answer.
    delay: float = 0.0
    url: str = ""

    def accepts(self, authorization: str | None, seconds: float = 3600.0) -> bool:
        """Whether a header holds a token that was given no longer ago than so many seconds."""
        token = (authorization or "").removeprefix("Bearer ")
        return token in self.given and time.monotonic() - self.given[token] < seconds

    def answer(self, fields: dict[str, str]) -> tuple[int, dict[str, object]]:
        self.asked.append(fields)
        time.sleep(self.delay)
        if self.failures:
            return self.failures.pop(0), {"error": "server_error"}
        if (fields.get("client_id"), fields.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client", "echo": fields}
        token = f"token-{uuid4().hex}"
        self.given[token] = time.monotonic()
        lifetime = {} if self.lifetime is None else {"expires_in": self.lifetime}
        return 200, {"access_token": token, "token_type": "Bearer", **lifetime}


@contextmanager
def token_server(tls: ssl.SSLContext | None = None) -> Iterator[Tokens]:
    tokens = Tokens()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, content = tokens.answer({name: values[0] for name, values in parse_qs(body).items()})
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        tokens.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/oauth2/token"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield tokens
        finally:
            server.shutdown()
