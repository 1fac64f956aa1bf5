from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.transformations.config_transformations.config_transformation import (
    ConfigTransformation,
)
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.configuration import ConfigError, normalize


@dataclass
class NormalizeConfig(ConfigTransformation):
    """Adds `api_url` and `ui_url`, and brings `start_date` into the form of the API.

    An address takes several steps that a template would hide, and what is wrong with it is worth a sentence.
    """

    def transform(self, config: MutableMapping[str, Any]) -> None:
        try:
            config.update(normalize(config))
        except ConfigError as error:
            raise AirbyteTracedException(
                message=str(error), internal_message=str(error), failure_type=FailureType.config_error
            ) from None
