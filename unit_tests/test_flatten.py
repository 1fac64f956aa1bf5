"""Nested records become flat rows whose columns never depend on what people put into them."""

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from source_prefect.records.flatten import Flattener, json_text

RUN = Flattener(objects=["state", "state_state_details"], text_columns=["value"])


def flat(record: dict[str, Any]) -> dict[str, Any]:
    row = copy.deepcopy(record)
    RUN.flatten(row)
    return row


def test_objects_of_fixed_shape_become_columns() -> None:
    record = {"id": "r", "state": {"type": "RUNNING", "state_details": {"cache_key": "k", "pause_key": None}}}
    assert flat(record) == {
        "id": "r",
        "state_type": "RUNNING",
        "state_state_details_cache_key": "k",
        "state_state_details_pause_key": None,
    }


def test_free_maps_and_arrays_become_json_text_however_deep() -> None:
    record = {
        "parameters": {"größe": {"a.b": [1, {"c": None}]}},
        "tags": [],
        "labels": {},
        "state": {"data": {"type": "x"}, "state_details": {"run_input_keyset": {"k": "v"}}},
    }
    assert flat(record) == {
        "parameters": '{"größe":{"a.b":[1,{"c":null}]}}',
        "tags": "[]",
        "labels": "{}",
        "state_data": '{"type":"x"}',
        "state_state_details_run_input_keyset": '{"k":"v"}',
    }


def test_a_value_of_any_kind_is_text_in_which_a_string_stays_itself() -> None:
    values = ["500", 500, 9.5, True, [1], {"a": 1}, None]
    assert [flat({"value": value})["value"] for value in values] == [
        *("500", "500", "9.5", "true", "[1]", '{"a":1}', None),
    ]


def test_other_values_stay_what_they_are() -> None:
    record = {"name": "ü🚀", "run_count": 2, "total_run_time": 1.5, "paused": False, "start_time": None}
    assert flat(record) == record


def test_a_missing_object_has_no_columns() -> None:
    assert flat({"state": None}) == {}
    assert flat({"state": {}}) == {}


def test_an_object_column_of_another_kind_is_kept() -> None:
    """A newer Prefect might send a list or a text where an object used to be."""
    assert flat({"state": ["RUNNING"]}) == {"state": '["RUNNING"]'}
    assert flat({"state": "RUNNING"}) == {"state": "RUNNING"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_json_text_keeps_every_value(value: Any) -> None:
    assert json.loads(json_text(value)) == value


@given(json_values)
def test_what_people_choose_never_makes_a_column(value: Any) -> None:
    assert flat({"parameters": {"key": value}}).keys() == {"parameters"}


def test_json_text_of_what_64_bits_or_utf_8_cannot_hold() -> None:
    assert json_text({"n": 2**70}) == '{"n":1180591620717411303424}'
    assert json.loads(json_text(["\ud800"])) == ["\ud800"]
