"""Prefect's nested records as flat rows, whose columns never depend on users' data."""

import json
from collections.abc import Iterable
from typing import Any

import orjson

_NESTED = frozenset({dict, list})


def json_text(value: Any) -> str:
    """The value as JSON text."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # orjson cannot write integers over 64 bits and lone surrogates; the standard library can.
        return json.dumps(value, separators=(",", ":"))


def objects_in(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; none where it is something else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


class Flattener:
    """Makes a record flat, in place.

    `objects` names the columns whose objects have a fixed shape, an outer one before those inside
    it: their fields become columns of their own, joined with `_`. Every other object or array
    becomes JSON text, so that keys that users choose never become columns. `text_columns` names
    the columns that may hold any JSON value: there a string is unchanged, and a number or a
    boolean becomes JSON text too.
    """

    def __init__(self, objects: Iterable[str] = (), text_columns: Iterable[str] = ()) -> None:
        self._objects = {name: _ColumnNames(f"{name}_") for name in objects}
        self._text_columns = tuple(text_columns)

    def flatten(self, record: dict[str, Any]) -> None:
        for name, columns in self._objects.items():
            fields = record.get(name)
            if isinstance(fields, dict):
                del record[name]
                for key, value in fields.items():
                    record[columns[key]] = value
            elif fields is None:
                # A missing object gets no column.
                record.pop(name, None)
        for column, value in record.items():
            # Nearly all of the 60 columns of a run are plain: this is the fastest way to skip
            # them.
            if type(value) in _NESTED:
                record[column] = json_text(value)
        for column in self._text_columns:
            if isinstance(value := record.get(column), (int, float)):
                record[column] = json_text(value)


class _ColumnNames(dict[str, str]):
    """Each field's column. The names are built once: a run has 70, and there may be a million."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, key: str) -> str:
        self[key] = column = self._prefix + key
        return column
