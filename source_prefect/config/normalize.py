from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.declarative.transformations.config_transformations.config_transformation import (
    ConfigTransformation,
)

from source_prefect.config.settings import normalize


@dataclass
class NormalizeConfig(ConfigTransformation):
    """Adds `api_url` and `ui_url`, strips pasted values, and formats `start_date` for the API.

    An address takes several steps that a template would hide. `SourcePrefect` passes only a valid config.
    """

    def transform(self, config: MutableMapping[str, Any]) -> None:
        config.update(normalize(config))
