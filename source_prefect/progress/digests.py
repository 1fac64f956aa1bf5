"""Finds the rows of a table that have changed by their content: for changes that do not move a time.

A state has room for a few bytes a row. So rows share buckets with one digest each: where one row changes, the others
of its bucket are sent too. The digests of any number of rows take at most 24 kB.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any

import orjson

_MOST_BUCKETS = 4096
# Letters of a digest, 6 bits each: one change in 7e10 goes unnoticed.
_LETTERS = 6
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Digests:
    """The digests of the rows of one scan. `volatile` names the columns whose changes do not count."""

    def __init__(self, volatile: Collection[str] = ()) -> None:
        self._volatile = frozenset(volatile)
        self._rows: dict[str, tuple[int, int]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row as the API sent it."""
        identifier = str(row.get("id"))
        content = {column: value for column, value in row.items() if column not in self._volatile}
        self._rows[identifier] = _hash(identifier.encode()), _hash(_canonical(content))

    def dump(self) -> str:
        """The digests of all buckets, one after the other."""
        buckets = 1
        # More buckets than rows, so that few rows share one.
        while buckets < min(4 * len(self._rows), _MOST_BUCKETS):
            buckets *= 2
        return "".join(self._of_buckets(buckets)) if self._rows else ""

    def changed_since(self, saved: str) -> list[str]:
        """The ids of the rows whose bucket has a new digest; of all rows where no digests were saved."""
        buckets = len(saved) // _LETTERS
        if not saved or buckets * _LETTERS != len(saved):
            return list(self._rows)
        before = [saved[start : start + _LETTERS] for start in range(0, len(saved), _LETTERS)]
        changed = {n for n, (old, new) in enumerate(zip(before, self._of_buckets(buckets), strict=True)) if old != new}
        return [identifier for identifier, (place, _) in self._rows.items() if place % buckets in changed]

    def _of_buckets(self, buckets: int) -> list[str]:
        sums: dict[int, int] = defaultdict(int)
        for place, content in self._rows.values():
            # A sum does not depend on the order of the rows.
            sums[place % buckets] += content
        return [_text(sums[bucket]) for bucket in range(buckets)]


def _canonical(content: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers over 64 bits, lone surrogates
        return json.dumps(content, sort_keys=True).encode()


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


def _text(number: int) -> str:
    return "".join(_ALPHABET[number >> 6 * place & 63] for place in range(_LETTERS))
