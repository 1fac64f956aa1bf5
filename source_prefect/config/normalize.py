from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.sources.declarative.transformations.config_transformations.config_transformation import (
    ConfigTransformation,
)

from source_prefect.config.settings import normalize


@dataclass
class NormalizeConfig(ConfigTransformation):
    """Adds `api_url` and `ui_url`, trims what was pasted, and brings `start_date` into the form of the API.

    An address takes several steps that a template would hide. `SourcePrefect` lets only a right config come here.
    """

    def transform(self, config: MutableMapping[str, Any]) -> None:
        config.update(normalize(config))
