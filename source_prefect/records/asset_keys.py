"""The keys of Prefect's assets: `postgres://prod/warehouse/mart/customers`."""

from typing import NamedTuple


class AssetKey(NamedTuple):
    """An asset key taken apart: `postgres`, and `prod`, `warehouse`, `mart`, `customers`."""

    scheme: str | None
    parts: list[str]

    @property
    def name(self) -> str:
        """The parts joined with dots, as tables are named in the tags that declare lineage."""
        return ".".join(self.parts)


def split_key(key: str) -> AssetKey:
    """Take a key apart. What Prefect would not take for a key has no scheme."""
    scheme, separator, path = key.partition("://")
    if not separator:
        scheme, path = "", key
    return AssetKey(scheme or None, [part for part in path.split("/") if part])
