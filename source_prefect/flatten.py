"""Prefect's nested records as flat rows whose columns never depend on what people put into them."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import orjson


def json_text(value: Any) -> str:
    """The value as JSON text, whatever it holds."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Integers over 64 bits and lone surrogates are beyond orjson; escaped, they stay what they are.
        return json.dumps(value, separators=(",", ":"))


def flatten(record: Mapping[str, Any], objects: Collection[str], text_columns: Collection[str]) -> dict[str, Any]:
    """The record as one flat row.

    `objects` names the columns whose objects have a fixed shape: their fields become columns of their own,
    joined with `_`. Every other object or array becomes JSON text, so that keys that people choose never
    become columns. `text_columns` names the columns that may hold any JSON value: there a string stays
    itself, and a number or a boolean becomes JSON text too.
    """
    row: dict[str, Any] = {}
    _flatten_into(row, record, "", objects, text_columns)
    return row


def _flatten_into(
    row: dict[str, Any],
    record: Mapping[str, Any],
    prefix: str,
    objects: Collection[str],
    text_columns: Collection[str],
) -> None:
    for key, value in record.items():
        column = prefix + key
        if column in objects and (value is None or isinstance(value, dict)):
            if value:
                _flatten_into(row, value, column + "_", objects, text_columns)
        elif isinstance(value, dict | list) or (
            column in text_columns and value is not None and not isinstance(value, str)
        ):
            row[column] = json_text(value)
        else:
            row[column] = value
