"""Which texts are masked: every secret of the config, in every form a server may send back."""

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets, filter_secrets, update_secrets

from source_prefect import manifest
from source_prefect.settings.secrets import Masks, secret_texts

SPEC = manifest.load()["spec"]["connection_specification"]
KEY = 'pnu_"0123/45+67 é'


def masked(text: str, connection: Any) -> str:
    update_secrets(secret_texts(SPEC, connection))
    return filter_secrets(text)


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        f" {KEY}\n".strip(),
        quote(KEY),
        quote(KEY, safe=""),
        quote(KEY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%C3%A9", "%c3%a9"),
        quote_plus(KEY),
        base64.b64encode(KEY.encode()).decode(),
        'pnu_\\"0123/45+67 é',
        'pnu_\\"0123/45+67 \\u00e9',
    ],
)
def test_a_key_is_masked_in_every_form(form: str) -> None:
    config = {"connection": {"type": "cloud", "api_key": f" {KEY}\n"}}
    assert masked(f"Invalid key: <{form}>", config) == "Invalid key: <****>"


def test_the_auth_string_is_masked_as_basic_credentials_and_by_its_password_alone() -> None:
    config = {"connection": {"type": "server", "auth_string": "admin:correct horse"}}
    basic = base64.b64encode(b"admin:correct horse").decode()
    assert masked(f"Basic {basic} / admin:correct horse / correct+horse", config) == "Basic **** / **** / ****"


def test_a_password_is_masked_alone_where_it_is_not_too_short_to_tell() -> None:
    def answer(auth_string: str, text: str) -> str:
        return masked(text, {"connection": {"type": "server", "auth_string": auth_string}})

    assert answer("admin:hunter", "hunter") == "****"
    assert answer("admin:hunt", "a hunting dog") == "a hunting dog"
    assert answer("admin:one:two:three", "one:two:three") == "****"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_basic_credentials_are_masked_without_their_padding_too(encode: Callable[[bytes], bytes]) -> None:
    secret = "admin:geheim~~~?>ü"
    config = {"connection": {"type": "server", "auth_string": secret}}
    basic = encode(secret.encode()).decode()
    assert basic.endswith("=")
    assert masked(f"<{basic}> <{basic.rstrip('=')}>", config) == "<****> <****>"


@pytest.mark.parametrize("write", [repr, json.dumps])
def test_a_secret_with_quotes_is_masked_as_python_and_json_write_it(write: Callable[[str], str]) -> None:
    secret = 'it\'s "secret" \\ really'
    config = {"connection": {"type": "server", "auth_string": secret}}
    assert masked(write(secret)[1:-1], config) == "****"


def test_a_secret_that_utf_8_cannot_hold_is_masked() -> None:
    assert masked("<pnu_\ud800_1>", {"connection": {"type": "cloud", "api_key": "pnu_\ud800_1"}}) == "<****>"


@pytest.mark.parametrize("value", [True, None])
def test_what_hides_no_secret_is_not_masked(value: Any) -> None:
    text = "True and None"
    assert masked(text, {"connection": {"type": "cloud", "api_key": value}}) == text


def test_values_of_custom_headers_are_masked() -> None:
    headers = [{"name": "X-A", "value": "first-token"}, {"name": "X-B", "value": "first-token-and-more"}]
    config = {"connection": {"type": "server", "custom_headers": headers}}
    assert masked("first-token-and-more, first-token", config) == "****, ****"


def test_a_secret_of_the_wrong_type_is_masked_too() -> None:
    config = {"connection": {"type": "cloud", "api_key": {"key": ["pnu_0123", 12345678]}}}
    assert masked("pnu_0123, 12345678", config) == "****, ****"


@pytest.mark.parametrize("config", [{}, {"connection": None}, {"connection": []}, {"connection": "text"}])
def test_a_config_of_the_wrong_shape_has_no_secrets(config: Any) -> None:
    assert masked("nothing to hide", config) == "nothing to hide"


def test_a_command_that_begins_keeps_the_masks_of_those_that_run_and_no_others() -> None:
    masks = Masks()
    with masks.of_command(["old"]):
        pass
    assert filter_secrets("old") == "****"
    with masks.of_command(["one"]):
        add_to_secrets("token of one")
        with masks.of_command(["two", "two and one"]):
            assert filter_secrets("one, token of one, two, two and one, old") == "****, ****, ****, ****, old"
        with masks.of_command(["three"]):
            assert filter_secrets("one, token of one, three") == "****, ****, ****"
    with masks.of_command(["four"]):
        assert filter_secrets("one, token of one, two, four") == "one, token of one, two, ****"
