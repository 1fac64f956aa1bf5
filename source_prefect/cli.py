"""The command `source-prefect`."""

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import orjson
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.exception_handler import init_uncaught_exception_handler
from airbyte_cdk.logger import PRINT_BUFFER, init_logger
from airbyte_cdk.models import (
    AirbyteErrorTraceMessage,
    AirbyteMessage,
    AirbyteMessageSerializer,
    ConnectorSpecification,
    FailureType,
)
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets, update_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.config.secrets import secret_texts
from source_prefect.source import SourcePrefect, config_error

T = TypeVar("T")


class Entrypoint(AirbyteEntrypoint):
    """The CDK's commands, with the source's own messages for an invalid config, and with every secret masked."""

    @staticmethod
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        """Nothing: the source validates its config. The CDK's `check` would print the whole connection."""

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """Register the secrets in every form; the CDK knows only their plain form, and none inside a list."""
        update_secrets(secret_texts(connection_specification, config))

    def read(
        self,
        source_spec: ConnectorSpecification,
        config: Mapping[str, Any],
        catalog: Any,
        state: list[Any],
    ) -> Iterable[AirbyteMessage]:
        """Mask the errors of the streams, which may quote a server's answer; the CDK masks the others."""
        for message in super().read(source_spec, config, catalog, state):
            if message.trace and message.trace.error:
                _mask(message.trace.error)
            yield message


# New objects before Python looks for reference cycles, which rows do not have. The default of 700 is some 40 rows.
_GARBAGE_COLLECTION_AFTER = 20_000

# Seconds after which a thread must yield to another. Python's default of 5 ms is less than the processing of a page;
# threads that interrupt each other there only wait for their common queue. A request releases the lock anyway.
_SWITCH_INTERVAL = 0.1

# The exit code of a program that ended by SIGINT, as shells report it.
_INTERRUPTED = 130

# The file descriptor: `PRINT_BUFFER` stands in for both streams.
_STDERR = 2


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command of the Airbyte protocol: spec, check, discover or read."""
    gc.set_threshold(_GARBAGE_COLLECTION_AFTER)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    init_uncaught_exception_handler(init_logger("airbyte"))
    args = list(sys.argv[1:] if arguments is None else arguments)
    command = AirbyteEntrypoint.parse_args(args or ["--help"])
    try:
        with PRINT_BUFFER:
            _print(messages(command))
    except AirbyteTracedException as error:
        if error.failure_type != FailureType.config_error:
            raise
        _say(error, command)


def messages(command: Namespace) -> Iterable[str]:
    """The output of a command, message by message. Raises AirbyteTracedException."""
    yield from Entrypoint(_source(command)).run(command)


def _print(messages: Iterable[str]) -> None:
    try:
        for message in messages:
            _write(f"{message}\n")
    except KeyboardInterrupt:
        _stop(_INTERRUPTED)


def _write(line: str) -> None:
    """Write it with one call: several threads print."""
    try:
        sys.stdout.write(line)
    except OSError as error:
        os.write(_STDERR, f"The output cannot be written: {error.strerror}. The sync has stopped.\n".encode())
        _stop(1)


def _stop(exit_code: int) -> NoReturn:
    """End the process at once.

    Python would wait for the threads, and they wait for room in the queue, which nobody empties any more.
    """
    os._exit(exit_code)


def _source(command: Namespace) -> SourcePrefect:
    config_path = getattr(command, "config", None)
    return SourcePrefect(
        catalog=_read("catalog", getattr(command, "catalog", None), SourcePrefect.read_catalog),
        config=_read("config", config_path, SourcePrefect.read_config),
        state=_read("state", getattr(command, "state", None), SourcePrefect.read_state),
        config_path=config_path,
    )


def _read(what: str, path: str | None, reader: Callable[[str], T]) -> T | None:
    if not path:
        return None
    try:
        return reader(path)
    except OSError as error:
        raise config_error(f"The {what} file {path} cannot be read: {error.strerror}.") from None
    except Exception as error:  # The CDK's readers raise whatever their parsers raise.
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise config_error(f"The {what} is not valid: {reason}") from None


def _say(error: AirbyteTracedException, command: Namespace) -> None:
    """A config error as the protocol requires it: a status for `check`; a trace and exit code 1 for other commands."""
    if command.command == "check" and (status := error.as_connection_status_message()):
        sys.stdout.write(f"{orjson.dumps(AirbyteMessageSerializer.dump(status)).decode()}\n")
        return
    error.emit_message()
    sys.exit(1)


def _mask(error: AirbyteErrorTraceMessage) -> None:
    error.message = filter_secrets(error.message)
    error.internal_message = filter_secrets(error.internal_message or "")
    error.stack_trace = filter_secrets(error.stack_trace or "")
