import logging
from collections.abc import Collection, Iterator, Mapping
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
    SyncMode,
)
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.cdk import failure, joined, stream_states, unquoted
from source_prefect.check import CONNECTION_SECONDS, STREAMS_SECONDS, unreadable, within
from source_prefect.config.settings import ConfigError, normalize
from source_prefect.http.cloud import with_plans
from source_prefect.http.workspaces import TemporaryError, each_workspace
from source_prefect.streams.shared import share_pages
from source_prefect.sync.state import names_workspaces

LOGGER = logging.getLogger("airbyte")


def manifest_path() -> Path:
    """Where the manifest is: in this folder in a wheel, one folder up in a checkout.

    The path is absolute because `YamlDeclarativeSource` opens a relative one in the working directory first.
    """
    package = Path(__file__).resolve().parent
    shipped = package / "manifest.yaml"
    return shipped if shipped.exists() else package.parent / "manifest.yaml"


class SourcePrefect(YamlDeclarativeSource):
    """The connector, which `manifest.yaml` declares.

    Python adds three things. An invalid config gets a sentence that names the field (`config.settings`); of a `oneOf`,
    the CDK says only that it does not match. What only Prefect Cloud knows - the workspaces of a key, the limits of
    the plan - becomes settings (`http.workspaces`, `http.cloud`); the streams of several workspaces are joined. And
    each stream keeps its own state (`cdk.StreamCursor`): the CDK never gets the saved states, so an invalid one fails
    only its own stream.
    """

    check_config_against_spec = False

    def __init__(
        self,
        catalog: ConfiguredAirbyteCatalog | None = None,
        config: Mapping[str, Any] | None = None,
        state: list[AirbyteStateMessage] | None = None,  # noqa: ARG002  (`read` gets it too)
        *,
        config_path: str | None = None,
    ) -> None:
        self._problem = _problem(config or {})
        self._saved: Mapping[str, Mapping[str, Any]] = {}
        # The streams that a sync reads, until they are built. A check and a discovery need all.
        self._selected: Collection[str] | None = None
        super().__init__(
            path_to_yaml=str(manifest_path()),
            catalog=catalog,
            # The manifest's templates need a valid config, or none.
            config=None if self._problem else config,
            config_path=config_path,
        )
        self._workspaces = [self._config]

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        if self._problem:
            return AirbyteConnectionStatus(status=Status.FAILED, message=filter_secrets(self._problem))
        # For `http.patience`: a user waits in front of a form.
        asked = {**self._config, "is_check": True}

        def connect() -> AirbyteConnectionStatus:
            self._workspaces = _with_room_for_each(each_workspace(asked))
            return super(SourcePrefect, self).check(logger, config)

        try:
            status = within(CONNECTION_SECONDS, connect)
        except ConfigError as error:
            return AirbyteConnectionStatus(status=Status.FAILED, message=filter_secrets(str(error)))
        if status is None:
            status = AirbyteConnectionStatus(
                status=Status.FAILED,
                message=f"{asked['api_url']} did not answer within {CONNECTION_SECONDS:.0f} s. Is it the "
                "address of a Prefect API, and does the server have time to answer?",
            )
        elif status.status == Status.SUCCEEDED:
            # A stream that the key may not read is no failure: some of Prefect Cloud's plans leave streams out.
            workers = asked["num_workers"]
            status.message = within(STREAMS_SECONDS, lambda: unreadable(self.streams(asked), workers))
        if status.message:
            status.message = filter_secrets(unquoted(status.message))
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
        incremental = {entry.stream.name for entry in catalog.streams if entry.sync_mode == SyncMode.incremental}
        try:
            self._workspaces = with_plans(each_workspace(self._config))
        except ConfigError as error:
            is_temporary = isinstance(error, TemporaryError)
            kind = FailureType.transient_error if is_temporary else FailureType.config_error
            raise failure(str(error), kind) from None
        # A full refresh reads everything, even if a state is passed.
        self._saved = {name: saved for name, saved in stream_states(state or []).items() if name in incremental}
        if len(self._workspaces) > 1 and not all(map(names_workspaces, filter(None, self._saved.values()))):
            LOGGER.info("A saved state that does not name its workspace is not used: all are read from the beginning.")
        self._selected = {entry.stream.name for entry in catalog.streams}
        yield from super().read(logger, config, self._ordered(catalog))
        self._raise_if_unknown(catalog)

    def streams(self, config: Mapping[str, Any]) -> list[AbstractStream]:  # noqa: ARG002  (the CDK's signature)
        ids = [each["connection"].get("workspace_id", "") for each in self._workspaces]
        is_sync = self._selected is not None
        try:
            built = [self._streams(each) for each in self._workspaces]
        finally:
            self._selected = None
        streams = [
            joined(dict(zip(ids, of_name, strict=True)), self._saved.get(of_name[0].name, {}), self._message_repository)
            for of_name in zip(*built, strict=True)
        ]
        if is_sync:
            for of_workspace in built:
                share_pages(of_workspace)
        return streams

    def _ordered(self, catalog: ConfiguredAirbyteCatalog) -> ConfiguredAirbyteCatalog:
        """Start the streams that share pages first, and so before the first record of either of them."""
        retrievers = {stream["name"]: stream["retriever"] for stream in self.resolved_manifest["streams"]}
        sharing = {name for name, retriever in retrievers.items() if "pages_of" in retriever}
        sharing |= {retrievers[name]["pages_of"] for name in sharing}
        return ConfiguredAirbyteCatalog(sorted(catalog.streams, key=lambda entry: entry.stream.name not in sharing))

    def _streams(self, workspace: Mapping[str, Any]) -> list[AbstractStream]:
        """The streams of one workspace. The CDK takes the config from the source, not from the argument."""
        config, self._config = self._config, workspace
        try:
            return super().streams(workspace)
        finally:
            self._config = config

    def _stream_configs(self, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The streams to build. The CDK builds all of them, and only then selects those of the catalog."""
        declared = super()._stream_configs(manifest)
        return [each for each in declared if self._selected is None or each["name"] in self._selected]

    def _raise_problem(self) -> None:
        if self._problem:
            raise config_error(self._problem)

    def _raise_if_unknown(self, catalog: ConfiguredAirbyteCatalog) -> None:
        """Raise an error for a stream that does not exist; the CDK skips it without one."""
        known = [stream["name"] for stream in self.resolved_manifest["streams"]]
        unknown = [entry.stream.name for entry in catalog.streams if entry.stream.name not in known]
        if unknown:
            raise config_error(
                f"There is no stream {' and no stream '.join(unknown)}. Refresh the schema of the connection; "
                f"the streams are {', '.join(known)}."
            )


def config_error(message: str) -> AirbyteTracedException:
    """An error that the user who set up the connection can fix."""
    return failure(message, FailureType.config_error)


def _with_room_for_each(workspaces: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The configs with a limit that lets a check ask each workspace, and once again where that fails."""
    limit = workspaces[0].get("max_requests_per_minute")
    return [
        {**each, "max_requests_per_minute": max(limit, 2 * len(workspaces))} if limit else each for each in workspaces
    ]


def _problem(config: Mapping[str, Any]) -> str | None:
    try:
        normalize(config)
    except ConfigError as error:
        return str(error)
    return None
