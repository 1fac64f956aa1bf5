"""The texts that must never be printed: a config's secrets, in every form of an echo."""

import base64
import html
import json
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

from airbyte_cdk.utils.airbyte_secrets_utils import update_secrets

# To mask shorter parts would hide more of a message than it protects.
SHORTEST_PART = 6


class Masks:
    """The texts that the CDK masks.

    It has one list for the process, in which several commands may run at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        # The CDK adds tokens to it.
        self._texts: list[str] = []

    @contextmanager
    def of_command(self, texts: Collection[str]) -> Iterator[None]:
        """Mask the texts, also after the command, until another one begins that runs alone."""
        with self._lock:
            known = self._texts if self._running else ()
            self._texts = _longest_first({*known, *texts})
            self._running += 1
            update_secrets(self._texts)
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1


MASKS = Masks()


def secret_texts(specification: Mapping[str, Any], config: Any) -> list[str]:
    """Every form of every value that the specification calls secret, the longest first."""
    return _longest_first({form for secret in _secrets(specification, config) for form in _forms(secret.strip())})


def _longest_first(texts: Collection[str]) -> list[str]:
    """Masks are applied one after the other: a short secret must not break up a long one."""
    return sorted(texts, key=lambda text: (-len(text), text))


def _secrets(specification: Mapping[str, Any], value: Any) -> Iterator[str]:
    """The secret values, by the spec. In a value of another type, all texts and numbers are."""
    if specification.get("airbyte_secret"):
        yield from _texts(value)
    for option in specification.get("oneOf", ()):
        yield from _secrets(option, value)
    if isinstance(value, Mapping):
        for name, field in specification.get("properties", {}).items():
            yield from _secrets(field, value.get(name))
    if isinstance(value, list) and "items" in specification:
        for item in value:
            yield from _secrets(specification["items"], item)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _forms(secret: str) -> Iterator[str]:
    """The secret, its lines, the password of `user:password`; each also as Basic, and escaped."""
    parts = [*secret.splitlines(), secret.partition(":")[2]]
    for text in {secret, *(part for part in parts if len(part.strip()) >= SHORTEST_PART)} - {""}:
        raw = text.encode("utf-8", "surrogatepass")
        for basic in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
            for form in (basic, basic.rstrip("=")):
                yield from _escaped(form, form.encode())
        yield from _escaped(text, raw)


def _escaped(text: str, raw: bytes) -> Iterator[str]:
    """The text as it is, in URLs, in JSON and Python, and in HTML."""
    in_urls = quote(raw), quote(raw, safe=""), quote_plus(raw)
    yield from (text, *in_urls, *(re.sub("%..", lambda code: code[0].lower(), each) for each in in_urls))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
    yield html.escape(text)
    for code in ("&#{};", "&#x{:x};", "&#x{:X};", "\\u{:04x}", "\\u{:04X}"):
        yield re.sub(r"[^0-9A-Za-z]", lambda char, code=code: code.format(ord(char[0])), text)  # type: ignore[misc]
        yield re.sub(r"[+/=\"'<>&]", lambda char, code=code: code.format(ord(char[0])), text)  # type: ignore[misc]
