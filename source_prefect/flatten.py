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


def objects_in(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none where it is something else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


class Flattener:
    """Makes one flat row of a record.

    `objects` names the columns whose objects have a fixed shape: their fields become columns of their own,
    joined with `_`. Every other object or array becomes JSON text, so that keys that people choose never
    become columns. `text_columns` names the columns that may hold any JSON value: there a string stays
    itself, and a number or a boolean becomes JSON text too.
    """

    def __init__(self, objects: Collection[str] = (), text_columns: Collection[str] = ()) -> None:
        self._objects = frozenset(objects)
        self._text_columns = frozenset(text_columns)
        self._columns = {prefix: _ColumnNames(prefix) for prefix in ("", *(f"{name}_" for name in objects))}

    def flatten(self, record: Mapping[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        self._add(row, record, "")
        return row

    def _add(self, row: dict[str, Any], record: Mapping[str, Any], prefix: str) -> None:
        columns = self._columns[prefix]
        for key, value in record.items():
            column = columns[key]
            if value is None:
                # An object that is missing has no column of its own.
                if column not in self._objects:
                    row[column] = None
            elif isinstance(value, str):
                row[column] = value
            elif isinstance(value, dict) and column in self._objects:
                self._add(row, value, f"{column}_")
            elif isinstance(value, (dict, list)) or column in self._text_columns:
                row[column] = json_text(value)
            else:
                row[column] = value


class _ColumnNames(dict[str, str]):
    """Each field's column. The names are made once: there are 70 of them in a run, and a million runs."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, key: str) -> str:
        self[key] = column = self._prefix + key
        return column
