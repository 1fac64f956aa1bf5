"""The keys of Prefect's assets: `postgres://prod/warehouse/mart/customers`."""

from typing import NamedTuple


class AssetKey(NamedTuple):
    """The parts of an asset key: `postgres`, and `prod`, `warehouse`, `mart`, `customers`."""

    scheme: str | None
    parts: list[str]

    @property
    def name(self) -> str:
        """The parts joined with dots, like the table names in lineage tags."""
        return ".".join(self.parts)


def split_key(key: str) -> AssetKey:
    """Split a key into its parts. A key that is not valid in Prefect has no scheme."""
    scheme, separator, path = key.partition("://")
    parts = path if separator else key
    return AssetKey((separator and scheme) or None, [part for part in parts.split("/") if part])
