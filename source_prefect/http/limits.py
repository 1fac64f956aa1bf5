"""How long an answer may take, and how large it may be, from its first byte to its last.

A time-out of the socket never fires while single bytes trickle in, and Python reads any number of
`100 Continue`.
"""

import http.client
import io
import time
from collections.abc import Iterator
from typing import Any

import requests

# In seconds.
LONGEST_ANSWER = 300.0
# In bytes, unpacked. A page of 200 artifacts of 5 MB each is less.
LARGEST_ANSWER = 2_000_000_000

_CHUNK = 1 << 20


class _Timed(io.RawIOBase):
    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._deadline = time.monotonic() + LONGEST_ANSWER

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def readinto(self, buffer: Any) -> Any:
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"the answer was not complete after {LONGEST_ANSWER:.0f} s")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Timed(self.fp.detach()))


def limit(pool: Any) -> Any:
    """The pool of connections, whose answers end in time."""
    if not issubclass(pool.ConnectionCls.response_class, _Answer):
        pool.ConnectionCls = type("Connection", (pool.ConnectionCls,), {"response_class": _Answer})
    return pool


def read_body(response: requests.Response) -> None:
    """Have `requests` read the body, at most LARGEST_ANSWER: it translates urllib3's errors."""
    raw: Any = response.raw

    def chunks(*_: Any, **__: Any) -> Iterator[bytes]:
        size = 0
        while chunk := raw.read1(_CHUNK, decode_content=True):
            size += len(chunk)
            if size > LARGEST_ANSWER:
                response.close()
                reason = f"the body is larger than {LARGEST_ANSWER:,} bytes"
                raise requests.exceptions.ContentDecodingError(reason)
            yield chunk

    raw.stream = chunks
    try:
        _ = response.content
    finally:
        del raw.stream  # It refers to the response, whose body would stay until Python looks for cycles.
