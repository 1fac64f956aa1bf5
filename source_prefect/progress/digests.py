"""Finds the rows of a table whose content has changed, because some changes do not move a time.

A state has room for a few bytes a row. So rows share buckets of one digest each: if one row
changes, all rows of its bucket are sent. The digests of any number of rows take at most 24 kB.
"""

import json
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any

import orjson

_MOST_BUCKETS = 4096
# Letters of a digest, 6 bits each: one change in 7e10 goes unnoticed.
_LETTERS = 6
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Digests:
    """The digests of the rows of one scan. Changes of `volatile` columns do not count."""

    def __init__(self, volatile: Collection[str] = ()) -> None:
        self._volatile = frozenset(volatile)
        self._rows: dict[str, tuple[int, int]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        identifier = str(row.get("id"))
        content = {column: value for column, value in row.items() if column not in self._volatile}
        self._rows[identifier] = _hash(identifier.encode()), _hash(_canonical(content))

    def dump(self) -> str:
        """The digests of all buckets, one after the other."""
        # A power of 2, and more than the rows, so that few of them share a bucket.
        buckets = min(1 << (4 * len(self._rows) - 1).bit_length(), _MOST_BUCKETS)
        return "".join(self._of_buckets(buckets)) if self._rows else ""

    def changed_since(self, saved: str) -> list[str]:
        """The ids of rows whose bucket has a new digest; of all rows without valid digests."""
        buckets, remainder = divmod(len(saved), _LETTERS)
        if not buckets or remainder:
            return list(self._rows)
        digests = enumerate(self._of_buckets(buckets))
        changed = {bucket for bucket, new in digests if new != saved[bucket * _LETTERS : (bucket + 1) * _LETTERS]}
        return [identifier for identifier, (place, _) in self._rows.items() if place % buckets in changed]

    def _of_buckets(self, buckets: int) -> list[str]:
        sums = [0] * buckets
        for place, content in self._rows.values():
            sums[place % buckets] += content  # A sum does not depend on the order of the rows.
        return [_text(each) for each in sums]


def _canonical(content: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers over 64 bits, lone surrogates
        return json.dumps(content, sort_keys=True).encode()


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest())


def _text(number: int) -> str:
    return "".join(_ALPHABET[number >> 6 * place & 63] for place in range(_LETTERS))
