"""The command `source-prefect`."""

import gc
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import orjson
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.exception_handler import assemble_uncaught_exception
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, ConnectorSpecification, FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets, update_secrets

from source_prefect.settings.secrets import secret_texts
from source_prefect.source import SourcePrefect


class Entrypoint(AirbyteEntrypoint):
    """The CDK's commands, with the source's own messages for an invalid config, and with every secret masked."""

    @staticmethod
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        """Nothing: the source validates its config. The CDK's `check` would print the complete connection."""

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """Register the secrets in every form; the CDK knows only their plain form, and none inside a list."""
        update_secrets(secret_texts(connection_specification, config))

    def read(
        self, source_spec: ConnectorSpecification, config: Mapping[str, Any], catalog: Any, state: list[Any]
    ) -> Iterable[AirbyteMessage]:
        """Mask the errors of the streams, which may quote a server's answer; the CDK masks the others."""
        for message in super().read(source_spec, config, catalog, state):
            if message.trace and (error := message.trace.error):
                error.message = filter_secrets(error.message)
                error.internal_message = filter_secrets(error.internal_message or "")
                error.stack_trace = filter_secrets(error.stack_trace or "")
            yield message


# New objects before Python looks for reference cycles, which rows do not have. The default of 700 is some 40 rows.
_GARBAGE_COLLECTION_AFTER = 20_000

# Seconds after which a thread must yield to another. Python's default of 5 ms is less than the processing of a page;
# threads that interrupt each other there only wait for their common queue. A request releases the lock anyway.
_SWITCH_INTERVAL = 0.1


def run(arguments: Sequence[str] | None = None) -> None:
    """The process: run one command, and end."""
    gc.set_threshold(_GARBAGE_COLLECTION_AFTER)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    for number in (signal.SIGINT, signal.SIGTERM):
        # As shells report a program that a signal has ended.
        signal.signal(number, lambda number, _frame: _end(128 + number))
    # The protocol wants UTF-8, whatever the locale is.
    sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    if exit_code := execute(sys.argv[1:] if arguments is None else arguments):
        _end(exit_code)


def execute(arguments: Sequence[str]) -> int:
    """Print the output of one command of the Airbyte protocol: spec, check, discover or read. Returns the exit code."""
    command = AirbyteEntrypoint.parse_args(list(arguments) or ["--help"])
    with PRINT_BUFFER:
        try:
            for message in messages(command):
                _write(f"{message}\n")
        except Exception as error:
            failed = assemble_uncaught_exception(type(error), error)
            status = failed.as_connection_status_message() if command.command == "check" else None
            if status and failed.failure_type == FailureType.config_error:
                _write(f"{orjson.dumps(AirbyteMessageSerializer.dump(status)).decode()}\n")
                return 0
            failed.emit_message()
            return 1
    return 0


def messages(command: Namespace) -> Iterable[str]:
    """The output of a command, message by message. Raises AirbyteTracedException."""
    return Entrypoint(SourcePrefect()).run(command)


def _write(line: str) -> None:
    """Write it with one call: several threads print."""
    try:
        sys.stdout.write(line)
    except OSError as error:
        # To the file descriptor, because `PRINT_BUFFER` stands in for sys.stderr.
        os.write(2, f"The output cannot be written: {error.strerror}. The sync has stopped.\n".encode())
        _end(1)


def _end(exit_code: int) -> NoReturn:
    """End the process at once: a thread may be waiting for an answer, and Python would wait for the thread."""
    os._exit(exit_code)
