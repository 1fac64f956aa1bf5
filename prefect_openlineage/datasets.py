"""From the names in tags and asset keys to OpenLineage's datasets, by the rules of a mapping.

A rule says what a name that begins with `prefix` is called in the catalog:

        prefix     whole parts of a name in a tag (`warehouse.staging`), or of an asset key
                   (`postgres://prod`)
        namespace  of the catalog: `postgres://db.example.com:5432`, `snowflake://acme-prod`,
                   `bigquery`
        name       {name}, the whole name; {rest}, what follows the prefix; {path}, the same with
                   slashes. Without it: {name} for a name in a tag, {rest} for an asset key.
        case       `upper` or `lower`, where the catalog writes names so
The rule with the longest prefix counts.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import NamedTuple

# Their keys are already what OpenLineage calls such datasets: the bucket is the namespace, the
# path is the name.
OBJECT_STORES = frozenset({"abfs", "abfss", "dbfs", "gs", "hdfs", "s3", "s3a", "wasb", "wasbs"})


class Dataset(NamedTuple):
    """A dataset as OpenLineage names it."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Rule:
    """What names with this prefix are called in the catalog."""

    prefix: str
    namespace: str
    name: str | None = None
    case: str | None = None

    def __post_init__(self) -> None:
        if not (self.prefix and self.namespace):
            raise ValueError("A rule for datasets needs a prefix and a namespace.")
        if self.case not in (None, "upper", "lower"):
            raise ValueError(f"The case for {self.prefix} is {self.case}: it may be upper or lower.")
        if unknown := {key for _, key, _, _ in Formatter().parse(self.name or "") if key} - {"name", "rest", "path"}:
            raise ValueError(f"The name for {self.prefix} holds {{{unknown.pop()}}}: it may hold name, rest or path.")

    def rest(self, name: str) -> list[str] | None:
        """The parts of a name after the prefix; None if the name does not begin with it."""
        if not name.startswith(self.prefix):
            return None
        rest = name[len(self.prefix) :]
        separator = _separator(name)
        # Whole parts: `shop` is no prefix of `shopping.public.orders`.
        if rest and not rest.startswith(separator) and not self.prefix.endswith(separator):
            return None
        return _parts(rest, separator)

    def dataset(self, name: str, rest: list[str]) -> Dataset:
        is_key = _separator(name) == "/"
        whole = ".".join(_parts(name.partition("://")[2], "/")) if is_key else name
        template = self.name or ("{rest}" if is_key else "{name}")
        text = template.format(name=whole, rest=".".join(rest), path="/".join(rest))
        return Dataset(self.namespace, {"upper": text.upper(), "lower": text.lower()}.get(self.case or "", text))


@dataclass
class Datasets:
    """The datasets of names, and which names no rule has mapped.

    A name without a rule is kept: its dataset is called as Prefect calls it, in the namespace
    `unmapped` or, for an asset key, in that of its own scheme.
    """

    rules: Sequence[Rule] = ()
    unmapped_namespace: str = "prefect"
    unmapped: Counter[str] = field(default_factory=Counter)
    _known: dict[str, Dataset] = field(default_factory=dict)

    def of(self, name: str) -> Dataset:
        if name in self.unmapped:
            self.unmapped[name] += 1
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> Dataset:
        matching = [(rule, rest) for rule in self.rules if (rest := rule.rest(name)) is not None]
        if matching:
            rule, rest = max(matching, key=lambda match: len(match[0].prefix))
            return rule.dataset(name, rest)
        scheme, separator, path = name.partition("://")
        first, *others = _parts(path, "/") or [""]
        if scheme in OBJECT_STORES and first:
            return Dataset(f"{scheme}://{first}", "/".join(others) or "/")
        self.unmapped[name] += 1
        if separator and first:
            return Dataset(f"{scheme}://{first}", ".".join(others) or "/")
        return Dataset(self.unmapped_namespace, name)


def _separator(name: str) -> str:
    """What is between the parts of a name: dots in a tag, slashes in an asset key."""
    return "/" if "://" in name else "."


def _parts(text: str, separator: str) -> list[str]:
    return [part for part in text.split(separator) if part]
