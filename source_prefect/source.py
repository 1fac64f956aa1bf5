from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airbyte_cdk.models import AirbyteStateMessage, ConfiguredAirbyteCatalog
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource


def manifest_path() -> Path:
    """Where the manifest is: beside this file in a wheel, one folder up in a checkout.

    The path is absolute because `YamlDeclarativeSource` opens a relative one in the working directory first.
    """
    package = Path(__file__).resolve().parent
    shipped = package / "manifest.yaml"
    return shipped if shipped.exists() else package.parent / "manifest.yaml"


class SourcePrefect(YamlDeclarativeSource):
    """The connector: everything that it does is declared in `manifest.yaml`."""

    def __init__(
        self,
        catalog: ConfiguredAirbyteCatalog | None = None,
        config: Mapping[str, Any] | None = None,
        state: list[AirbyteStateMessage] | None = None,
        *,
        config_path: str | None = None,
    ) -> None:
        super().__init__(
            path_to_yaml=str(manifest_path()),
            catalog=catalog,
            config=config,
            state=state,
            config_path=config_path,
        )
