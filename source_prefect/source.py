import ast
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateMessage,
    ConfiguredAirbyteCatalog,
    FailureType,
    Status,
)
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.components.runs import HORIZON
from source_prefect.configuration import ConfigError, normalize
from source_prefect.times import format_time, parse_time


def manifest_path() -> Path:
    """Where the manifest is: beside this file in a wheel, one folder up in a checkout.

    The path is absolute because `YamlDeclarativeSource` opens a relative one in the working directory first.
    """
    package = Path(__file__).resolve().parent
    shipped = package / "manifest.yaml"
    return shipped if shipped.exists() else package.parent / "manifest.yaml"


class SourcePrefect(YamlDeclarativeSource):
    """The connector: everything that it does is declared in `manifest.yaml`.

    In Python is only what it answers to a wrong input. The CDK checks a config against the spec, and says of a
    `oneOf` that fails no more than that it does. Here each field has a sentence (`source_prefect.configuration`),
    which every command gives as Airbyte wants it: `check` as a failed status, the others as a config error.
    """

    check_config_against_spec = False

    def __init__(
        self,
        catalog: ConfiguredAirbyteCatalog | None = None,
        config: Mapping[str, Any] | None = None,
        state: list[AirbyteStateMessage] | None = None,
        *,
        config_path: str | None = None,
    ) -> None:
        self._problem = _problem(config or {})
        super().__init__(
            path_to_yaml=str(manifest_path()),
            catalog=catalog,
            # The manifest's templates need a config that is right, or none.
            config=None if self._problem else config,
            state=state,
            config_path=config_path,
        )

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        if self._problem:
            return AirbyteConnectionStatus(status=Status.FAILED, message=filter_secrets(self._problem))
        status = super().check(logger, config)
        if status.message:
            # The CDK quotes the reason, as Python would.
            status.message = filter_secrets(str(ast.literal_eval(status.message)))
        return status

    def discover(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteCatalog:
        self._raise_problem()
        return super().discover(logger, config)

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        self._raise_problem()
        _check_state(state or [])
        yield from super().read(logger, config, catalog, state)
        self._raise_if_unknown(catalog)

    def _raise_problem(self) -> None:
        if self._problem:
            raise config_error(self._problem)

    def _raise_if_unknown(self, catalog: ConfiguredAirbyteCatalog) -> None:
        """Say so where the catalog names a stream that there is not; the CDK leaves it out without an error."""
        known = [stream["name"] for stream in self.resolved_manifest["streams"]]
        unknown = [entry.stream.name for entry in catalog.streams if entry.stream.name not in known]
        if unknown:
            raise config_error(
                f"There is no stream {' and no stream '.join(unknown)}. Refresh the schema of the connection; "
                f"the streams are {', '.join(known)}."
            )


# What the manifest's cursor can read.
_CURSOR = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:?\d{2})")


def config_error(message: str) -> AirbyteTracedException:
    """What the person who set up the connection can mend."""
    return AirbyteTracedException(message=message, internal_message=message, failure_type=FailureType.config_error)


def _problem(config: Mapping[str, Any]) -> str | None:
    try:
        normalize(config)
    except ConfigError as error:
        return str(error)
    return None


def _check_state(state: list[AirbyteStateMessage]) -> None:
    now = datetime.now(timezone.utc)
    for message in state:
        if message.stream is None or message.stream.stream_state is None:
            continue
        name = message.stream.stream_descriptor.name
        cursor = vars(message.stream.stream_state).get("updated")
        if cursor is None:
            continue
        time = parse_time(cursor) if _CURSOR.fullmatch(str(cursor)) else None
        if time is None:
            raise config_error(
                f"The state of the stream {name} has {cursor!r} as its cursor `updated`, which is no time such as "
                "2026-01-01T00:00:00.000000Z. Reset the stream to read it from the beginning."
            )
        if time > now + HORIZON:
            raise config_error(
                f"The last sync of {name} came to {cursor}, but the clock of this machine says {format_time(now)}. "
                "Set the clock right. If it is, reset the stream."
            )
