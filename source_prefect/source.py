import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from airbyte_cdk import models
from airbyte_cdk.sources import Source
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from serpyco_rs import SchemaValidationError

from source_prefect import cdk, manifest
from source_prefect.check import CheckError, check
from source_prefect.cloud import TemporaryError, with_plans, workspaces_to_read
from source_prefect.http.answers import quoted
from source_prefect.http.errors import failure
from source_prefect.http.session import Session
from source_prefect.http.transport import IN_A_CHECK, IN_A_SYNC
from source_prefect.progress.state import names_workspaces
from source_prefect.reading.scan import Output
from source_prefect.reading.shared import scans
from source_prefect.settings.parse import ConfigError, parse
from source_prefect.settings.secrets import MASKS, secret_texts
from source_prefect.settings.values import Settings, Workspace

LOGGER = logging.getLogger("airbyte")

Content = TypeVar("Content")


class SourcePrefect(Source):
    """The connector, which `manifest.yaml` declares. It keeps nothing between two commands.

    Each command parses the config, finds the workspaces, and has the CDK build the streams that it
    needs. Python adds what YAML cannot express: an invalid config gets a sentence that names the
    field, where the CDK says of a `oneOf` only that it does not match; what only Prefect Cloud
    knows is asked there; and each stream keeps its own state.
    """

    check_config_against_spec = False

    @staticmethod
    def read_config(config_path: str) -> MutableMapping[str, Any]:
        return _from_file("config", config_path, Source.read_config)

    @classmethod
    def read_catalog(cls, catalog_path: str) -> models.ConfiguredAirbyteCatalog:
        return _from_file("catalog", catalog_path, super().read_catalog)

    @classmethod
    def read_state(cls, state_path: str) -> list[models.AirbyteStateMessage]:
        messages = _from_file("state", state_path, super().read_state)
        if any(message.data and not (message.stream or message.global_) for message in messages):
            LOGGER.warning(
                f"The state file {state_path} holds a LEGACY state, which names no stream, so it is not used: the "
                "streams are read from the beginning."
            )
        return messages

    def spec(self, logger: logging.Logger) -> models.ConnectorSpecification:  # noqa: ARG002  (the CDK's signature)
        spec = manifest.load()["spec"]
        return models.ConnectorSpecification(
            documentationUrl=spec["documentation_url"], connectionSpecification=spec["connection_specification"]
        )

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:  # noqa: ARG002  (as above)
        """The config as it is. The CDK would write the secrets to a file."""
        return config

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> models.AirbyteConnectionStatus:  # noqa: ARG002
        written = manifest.load()
        [first] = written["check"]["stream_names"]
        others = [name for name in manifest.stream_names(written) if name != first]
        status = models.Status.SUCCEEDED
        with _masked(config, written):
            try:
                settings = _settings(config, written)
                # A person waits: the limit of a sync would make a check of many workspaces wait
                # for a minute.
                with Session(replace(settings, max_requests_per_minute=None), IN_A_CHECK) as session:
                    message = check(
                        session,
                        lambda: _declared(written, [first], session)[0],
                        lambda: _declared(written, others, session),
                        most_tries=settings.max_requests_per_minute,
                    )
            except (ConfigError, CheckError) as error:
                status, message = models.Status.FAILED, str(error)
            return models.AirbyteConnectionStatus(status=status, message=message and filter_secrets(message))

    def discover(self, logger: logging.Logger, config: Mapping[str, Any]) -> models.AirbyteCatalog:  # noqa: ARG002
        written = manifest.load()
        with _masked(config, written), _config_errors(), Session(_settings(config, written), IN_A_CHECK) as session:
            streams = _declared(written, manifest.stream_names(written), session)
        return models.AirbyteCatalog(streams=[each.stream.as_airbyte_stream() for each in streams])

    def read(
        self,
        logger: logging.Logger,  # noqa: ARG002  (the CDK's signature)
        config: Mapping[str, Any],
        catalog: models.ConfiguredAirbyteCatalog,
        state: list[models.AirbyteStateMessage] | None = None,
    ) -> Iterator[models.AirbyteMessage]:
        written = manifest.load()
        modes = _sync_modes(catalog)
        # A full refresh reads everything, even if a state is passed.
        incremental = [name for name, mode in modes.items() if mode == models.SyncMode.incremental]
        saved = {name: it for name, it in cdk.stream_states(state or []).items() if name in incremental}
        with _masked(config, written), _config_errors(), Session(_settings(config, written), IN_A_SYNC) as session:
            workspaces = with_plans(session, workspaces_to_read(session))
            streams = _declared(written, modes, session)
            outbox = cdk.Outbox.new()
            reading = _reading(session, workspaces, streams, saved, outbox)
            yield from cdk.read(reading, outbox, cdk.concurrency_level(written, session))
        known = manifest.stream_names(written)
        if unknown := [name for name in modes if name not in known]:
            raise failure(
                f"There is no stream {' and no stream '.join(unknown)}. Refresh the schema of the connection; the "
                f"streams are {', '.join(known)}."
            )


def _from_file(what: str, path: str, reader: Callable[[str], Content]) -> Content:
    try:
        return reader(path)
    except OSError as error:
        raise failure(f"The {what} file {path} cannot be read: {error.strerror}.") from None
    except SchemaValidationError as error:
        wrong = (f"{each.instance_path or 'the whole'}: {each.message}" for each in error.errors)
        raise failure(f"The {what} is not valid: {path}: {quoted('; '.join(wrong))}") from None
    except Exception as error:  # The CDK's readers raise whatever their parsers raise.
        reason = quoted((str(error) or type(error).__name__).splitlines()[0])
        raise failure(f"The {what} is not valid: {reason}") from None


def _masked(config: Mapping[str, Any], written: manifest.Manifest) -> AbstractContextManager[None]:
    return MASKS.of_command(secret_texts(written["spec"]["connection_specification"], config))


def _settings(config: Mapping[str, Any], written: manifest.Manifest) -> Settings:
    settings = parse(config, written["spec"]["connection_specification"])
    if settings.unknown:
        LOGGER.warning(f"These settings are unknown, so they change nothing: {', '.join(settings.unknown)}.")
    for doubt in settings.doubts:
        LOGGER.warning(doubt)
    return settings


def _declared(written: manifest.Manifest, names: Collection[str], session: Session) -> list[cdk.Declared]:
    """The streams of these names. Those that share a scan must start before any record."""
    streams = cdk.declared(manifest.resolved(written, names)["streams"], session)
    sources = {each.retriever.pages_of for each in streams}
    return sorted(streams, key=lambda each: not (each.retriever.pages_of or each.name in sources))


def _reading(
    session: Session,
    workspaces: Sequence[Workspace],
    streams: Sequence[cdk.Declared],
    saved: Mapping[str, Mapping[str, Any]],
    outbox: cdk.Outbox,
) -> list[AbstractStream]:
    """The streams with a partition for each workspace."""
    is_cloud = bool(workspaces[0].workspace_id)
    if foreign := [name for name, state in saved.items() if state and names_workspaces(state) != is_cloud]:
        LOGGER.info(
            f"The saved state of {', '.join(foreign)} is not from this kind of connection (Prefect Cloud, Prefect "
            "Server), so it is not used: all rows are read."
        )
    cursors = {
        each.name: cdk.StreamCursor(each.name, each.cursor_field, saved.get(each.name, {}), outbox)
        if each.cursor_field
        else cdk.NoStates(each.name, None, outbox.messages)
        for each in streams
    }
    partitions: dict[str, list[Partition]] = {each.name: [] for each in streams}
    for workspace in workspaces:
        outputs = {it.name: Output(it.retriever, it.schema, workspace, cursors[it.name]) for it in streams}
        for name, records in scans(session, workspace, outputs).items():
            partitions[name].append(cdk.ScanPartition(name, records))
    return [each.reading(partitions[each.name], cursors[each.name]) for each in streams]


def _sync_modes(catalog: models.ConfiguredAirbyteCatalog) -> dict[str, models.SyncMode]:
    times = Counter(entry.stream.name for entry in catalog.streams)
    if twice := [name for name, count in times.items() if count > 1]:
        raise failure(f"The catalog names the stream {' and the stream '.join(twice)} more than once.")
    return {entry.stream.name: entry.sync_mode for entry in catalog.streams}


@contextmanager
def _config_errors() -> Iterator[None]:
    """A sentence about the config becomes the error that the protocol requires."""
    try:
        yield
    except TemporaryError as error:
        raise failure(str(error), models.FailureType.transient_error) from None
    except ConfigError as error:
        raise failure(str(error)) from None
