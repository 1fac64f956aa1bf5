"""`builder/manifest.yaml` is up to date, and has what the Connector Builder takes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from devtools.matrix.pythons import ROOT
from devtools.release.builder import EDITION, MANIFEST, form, manifest

PACKAGE: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yaml").read_text())
DECLARED: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())
BY_HAND = EDITION.read_text().partition("\n---\n")[2]
FORM = DECLARED["spec"]["connection_specification"]["properties"]


def test_it_is_what_make_builder_writes() -> None:
    assert MANIFEST.read_text() == manifest(), "Run `make builder`."


@pytest.mark.parametrize("stream", DECLARED["definitions"]["schemas"])
def test_its_columns_are_those_of_the_package(stream: str) -> None:
    columns = PACKAGE["definitions"]["schemas"][stream]["properties"]
    assert DECLARED["definitions"]["schemas"][stream]["properties"] == columns


def test_it_has_no_custom_code_and_nothing_deprecated() -> None:
    keys = {key for part in _mappings(DECLARED["definitions"]) for key in part}
    assert keys & {"class_name", "url_base", "path_base", "request_body_json", "request_body_data"} == set()
    assert [part for part in _mappings(DECLARED) if str(part.get("type")).startswith("Custom")] == []
    assert [part for part in _mappings(DECLARED) if part.get("type") == "HttpRequester" and "path" in part] == []


def test_a_config_of_the_edition_is_one_of_the_package() -> None:
    package = PACKAGE["spec"]["connection_specification"]["properties"]
    assert FORM.keys() <= package.keys()
    for ours, theirs in zip(FORM["connection"]["oneOf"], package["connection"]["oneOf"], strict=True):
        assert ours["properties"].keys() <= theirs["properties"].keys()
        assert set(theirs["required"]) <= set(ours["required"])


@pytest.mark.parametrize("config", MANIFEST.parent.glob("integration_tests/*.json"), ids=lambda path: path.stem)
def test_the_form_takes_the_configs_of_airbytes_tests(config: Path) -> None:
    jsonschema.validate(json.loads(config.read_text()), DECLARED["spec"]["connection_specification"])


def test_every_setting_of_the_form_is_used() -> None:
    names = {*FORM, *(name for option in FORM["connection"]["oneOf"] for name in option["properties"])}
    assert [name for name in names if f"'{name}'" not in BY_HAND] == []


def test_a_difference_takes_a_field_away_or_changes_a_part_of_it() -> None:
    option = {"properties": {"type": {"const": "cloud"}, "kept": {"title": "Kept", "order": 1}, "gone": {"order": 2}}}
    package = {"spec": {"connection_specification": {"properties": {"connection": {"oneOf": [option]}}}}}
    patch = {"properties": {"kept": {"title": "Changed"}, "gone": None}}
    [changed] = form(package, {"settings": {}, "cloud": patch})["properties"]["connection"]["oneOf"]
    assert changed["properties"] == {"type": {"const": "cloud"}, "kept": {"title": "Changed", "order": 1}}


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(part)
