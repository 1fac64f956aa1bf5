"""Peers that speak no HTTP, or a strange one: each request ends in time, with a sentence."""

import base64
import html
import json
import re
import socket
import time
from collections.abc import Callable
from urllib.parse import quote, unquote

import pytest
from airbyte_cdk.utils.airbyte_secrets_utils import update_secrets

from integration_tests.peers import Speak, read, said, say
from source_prefect import manifest
from source_prefect.http import limits
from source_prefect.http.answers import quoted
from source_prefect.settings.secrets import secret_texts


def slowly(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


def continue_for_ever(connection: socket.socket, _: bytes) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.002)


def body_without_end(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")


@pytest.mark.parametrize("speak", [slowly, continue_for_ever, body_without_end])
def test_an_answer_without_end_is_given_up(speak: Speak, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LONGEST_ANSWER", 0.3)
    monkeypatch.setattr(limits, "LARGEST_ANSWER", 50_000_000)
    began = time.monotonic()
    assert "127.0.0.1" in said(read(speak))
    assert time.monotonic() - began < 30


def test_a_body_that_is_too_large_is_given_up_before_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LARGEST_ANSWER", 100_000)
    assert "the body is larger than 100,000 bytes" in said(read(body_without_end))


@pytest.mark.parametrize("token", [b"{}", b"[]", b'{"token": null}', b'{"token": "a\\nb"}', b"<html>", b"7"])
def test_a_csrf_token_that_cannot_be_used_is_one_sentence(token: bytes) -> None:
    def speak(connection: socket.socket, request: bytes) -> None:
        ask = b"csrf-token" in request
        body = token if ask else b'{"detail": "Missing CSRF token"}'
        say("200 OK" if ask else "403 Forbidden", body)(connection, request)

    assert "demands a CSRF token and gives none that can be used" in said(read(speak))


@pytest.mark.parametrize("year", ["20261128123456", "0000", "-1", "1" * 400])
@pytest.mark.parametrize("header", ["Date", "Retry-After"])
def test_a_time_that_no_calendar_has_is_ignored(header: str, year: str) -> None:
    time_text = f"Sat, 28 Nov {year} 12:00:00 GMT"
    assert "answered 503" in said(read(say("503 Unavailable", headers={header: time_text})))
    assert read(say("200 OK", headers={header: time_text})).ok()


@pytest.mark.parametrize("wait", ["9" * 14, "9" * 400])
def test_a_wait_of_ages_is_one_sentence(wait: str) -> None:
    assert "asked to wait" in said(read(say("503 Unavailable", headers={"Retry-After": wait})))


@pytest.mark.parametrize("location", ["http://[bad", "http://a:b@[::1", "//", "http://h:99999999/", "\x00"])
def test_a_redirect_to_no_address_is_one_sentence(location: str) -> None:
    assert "which is not followed" in said(read(say("302 Found", headers={"Location": location})))


SECRET, TOKEN = "ad+min=:p/äss=w+rd&<é", "t0ken+/=value&long"
BASIC = base64.b64encode(SECRET.encode()).decode()
FORMS: list[Callable[[str], str]] = [
    str,
    quote,
    lambda text: re.sub("%..", lambda code: code[0].lower(), quote(text, safe="")),
    html.escape,
    lambda text: text.replace("=", "&#x3D;").replace("+", "&#43;"),
    lambda text: "".join(f"&#{ord(char)};" for char in text),
    lambda text: quote(html.escape(text)),
    lambda text: json.dumps(text)[1:-1].replace("=", "\\u003d").replace("+", "\\u002B"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", [SECRET, BASIC, BASIC.rstrip("="), TOKEN])
def test_no_form_of_a_secret_is_quoted_not_even_its_beginning(text: str, form: Callable[[str], str]) -> None:
    connection = {"auth_string": SECRET, "custom_headers": [{"name": "X-Token", "value": TOKEN}]}
    update_secrets(secret_texts(manifest.load()["spec"]["connection_specification"], {"connection": connection}))
    for before in range(280, 300):
        assert quoted(f"{'.' * before}{form(text)}").strip("…") in (f"{'.' * before}****"[:300], "." * before + "****")


@pytest.mark.parametrize("status", ["200 OK", "400 Bad", "403 Forbidden", "404 Not Found", "418 Teapot", "500 Error"])
def test_no_answer_makes_a_secret_printed(status: str) -> None:
    headers = [{"name": "X-Token", "value": TOKEN}]
    for form in FORMS:
        texts = [form(text) for text in (SECRET, BASIC, BASIC.rstrip("="), TOKEN)]
        for body in (json.dumps({"detail": texts}), " ".join(texts)):
            sync = read(say(status, body.encode()), auth_string=SECRET, custom_headers=headers)
            printed = html.unescape(unquote(json.dumps([sync.errors, sync.logs], ensure_ascii=False)))
            assert not any(part in printed for part in (SECRET[:9], BASIC[:9], TOKEN[:9])), sync.errors
            assert all(len(error["message"]) < 700 for error in sync.errors)
