"""The form and the code agree: Airbyte checks by the spec, every other caller by the code."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_prefect import manifest
from source_prefect.settings.parse import LOG_LEVELS, ConfigError, parse

SPEC: dict[str, Any] = manifest.load()["spec"]["connection_specification"]
SETTINGS: dict[str, dict[str, Any]] = {name: s for name, s in SPEC["properties"].items() if name != "connection"}
CONNECTIONS: dict[str, dict[str, Any]] = {
    option["properties"]["type"]["const"]: option for option in SPEC["properties"]["connection"]["oneOf"]
}
ACCEPTANCE = Path(__file__).parents[1] / "integration_tests" / "acceptance"
UUID = "01234567-89ab-cdef-0123-456789abcdef"
# What a right config has to have.
COMPLETE: dict[str, dict[str, Any]] = {
    "cloud": {"type": "cloud", "api_key": "pnu_0123456789abcdef", "account_id": UUID, "workspace_id": UUID},
    "server": {"type": "server", "api_url": "https://prefect.example.com/api"},
}
WITH_LIMITS = sorted(name for name, schema in SETTINGS.items() if schema["type"] == "integer")


def accepted(config: Mapping[str, Any]) -> bool:
    try:
        parse(config, SPEC)
    except ConfigError:
        return False
    return True


def setting(name: str, value: Any) -> dict[str, Any]:
    return {"connection": COMPLETE["server"], name: value}


def connection(kind: str, **changes: Any) -> dict[str, Any]:
    return {"connection": {**COMPLETE[kind], **changes}}


@pytest.mark.parametrize("name", WITH_LIMITS)
def test_whole_numbers_have_the_same_limits(name: str) -> None:
    least, most = SETTINGS[name]["minimum"], SETTINGS[name]["maximum"]
    given_numbers = (least - 1, least, most, most + 1)
    assert [accepted(setting(name, number)) for number in given_numbers] == [False, True, True, False]


def test_the_log_levels_are_the_same() -> None:
    assert SETTINGS["log_level"]["enum"] == list(LOG_LEVELS)


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("start_date", "2026-01-01", True),
        ("start_date", "2026-01-01T00:00:00Z", True),
        ("start_date", "2026-01-01T00:00:00.123456Z", True),
        ("start_date", "01.01.2026", False),
        ("start_date", "20260101", False),
        ("start_date", "yesterday", False),
        ("lookback_window", "P1D", True),
        ("lookback_window", "PT12H", True),
        ("lookback_window", "P2W", True),
        ("lookback_window", "P1DT30M", True),
        ("lookback_window", "P1DT", False),
        ("lookback_window", "P", False),
        ("lookback_window", "P1M", False),
        ("lookback_window", "-P1D", False),
        ("lookback_window", "1 day", False),
    ],
)
def test_patterns_and_code_accept_the_same_texts(name: str, text: str, right: bool) -> None:
    assert bool(re.search(SETTINGS[name]["pattern"], text)) is right
    assert accepted(setting(name, text)) is right


@given(data=st.data())
def test_the_code_accepts_every_id_that_the_pattern_does(data: st.DataObject) -> None:
    pattern = CONNECTIONS["cloud"]["properties"]["account_id"]["pattern"]
    text = data.draw(st.from_regex(pattern, alphabet=st.characters(codec="ascii", exclude_categories=["Cc"])))
    assert accepted(connection("cloud", account_id=text))


@pytest.mark.parametrize("text", [UUID[:-1], UUID + "0", UUID.replace("-", ""), "g" + UUID[1:], f"{UUID}/dashboard"])
def test_the_code_and_the_pattern_refuse_what_is_no_id(text: str) -> None:
    assert not re.search(CONNECTIONS["cloud"]["properties"]["account_id"]["pattern"], text)
    assert not accepted(connection("cloud", account_id=text))
    # Which may be an address as well, and has no pattern.
    assert not accepted(connection("cloud", workspace_id=text))


@pytest.mark.parametrize("kind", sorted(CONNECTIONS))
def test_the_same_fields_are_required(kind: str) -> None:
    missing = {
        field
        for field in COMPLETE[kind]
        if not accepted({"connection": {name: value for name, value in COMPLETE[kind].items() if name != field}})
    }
    assert missing == set(CONNECTIONS[kind]["required"])


def _fields() -> Iterator[tuple[str | None, str]]:
    for name in SETTINGS:
        yield None, name
    for kind, option in CONNECTIONS.items():
        for name in option["properties"]:
            yield kind, name


@pytest.mark.parametrize(("kind", "name"), list(_fields()))
def test_the_code_looks_at_the_type_of_every_field(kind: str | None, name: str) -> None:
    # An object is right nowhere below the connection.
    wrong = setting(name, {}) if kind is None else connection(kind, **{name: {}})
    assert not accepted(wrong)


@pytest.mark.parametrize(("kind", "name"), list(_fields()))
def test_the_code_accepts_defaults_and_examples(kind: str | None, name: str) -> None:
    schema = SETTINGS[name] if kind is None else CONNECTIONS[kind]["properties"][name]
    # Examples of certificates show what one looks like, shortened.
    examples = [value for value in schema.get("examples", []) if "-----BEGIN" not in str(value)]
    for value in [*examples, *([schema["default"]] if "default" in schema else [])]:
        # Several workspaces stand in place of the ids of one.
        ids = {"account_id": "", "workspace_id": ""} if name == "workspaces" else {}
        assert accepted(setting(name, value) if kind is None else connection(kind, **ids, **{name: value})), value


def test_each_place_in_the_form_is_taken_once() -> None:
    levels = [SPEC["properties"], *(option["properties"] for option in CONNECTIONS.values())]
    for properties in levels:
        orders = [schema["order"] for schema in properties.values()]
        assert sorted(orders) == list(range(len(orders))), properties.keys()


def test_every_setting_is_on_a_card_of_the_form() -> None:
    cards = defaultdict(list)
    for name, schema in SPEC["properties"].items():
        cards[schema["group"]].append(name)
    assert [group["id"] for group in SPEC["groups"]] == list(cards)


def test_what_most_people_need_is_not_folded_away() -> None:
    shown = {name for name, schema in SETTINGS.items() if schema.get("always_show")}
    assert shown == {"start_date", "max_requests_per_minute"}
    inside = {
        name for option in CONNECTIONS.values() for name, s in option["properties"].items() if s.get("always_show")
    }
    assert inside == {"workspace", "auth_string"}


def test_what_the_choice_of_workspaces_replaces_is_hidden() -> None:
    hidden = {name for name, s in CONNECTIONS["cloud"]["properties"].items() if s.get("airbyte_hidden")}
    assert hidden == {"workspace_id", "account_id", "workspaces"}


def test_airbytes_acceptance_test_sets_every_setting() -> None:
    """All of a server without TLS, which the test reads. `oauth` excludes `auth_string`."""
    config = json.loads((ACCEPTANCE / "every_setting.json").read_text())
    of_tls = {"ca_certificate", "client_certificate", "client_key", "verify_tls"}
    assert config.keys() == SPEC["properties"].keys()
    assert config["connection"].keys() == CONNECTIONS["server"]["properties"].keys() - of_tls - {"oauth"}
