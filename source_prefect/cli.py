"""The command `source-prefect`."""

import errno
import gc
import io
import logging
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from typing import Any, NoReturn

import orjson
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.exception_handler import assemble_uncaught_exception
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, ConnectorSpecification, FailureType
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets

from source_prefect.source import SourcePrefect


class Entrypoint(AirbyteEntrypoint):
    """The CDK's commands, with our own messages for an invalid config, and every secret masked."""

    @staticmethod
    def validate_connection(source_spec: ConnectorSpecification, config: Mapping[str, Any]) -> None:
        """Nothing: the source validates its config. The CDK would print the whole connection."""

    @staticmethod
    def set_up_secret_filter(config: Mapping[str, Any], connection_specification: Mapping[str, Any]) -> None:
        """Nothing: the source does. The CDK would forget the secrets of another command."""

    def read(
        self, source_spec: ConnectorSpecification, config: Mapping[str, Any], catalog: Any, state: list[Any]
    ) -> Iterable[AirbyteMessage]:
        """Mask the errors of streams, which may quote an answer; the CDK masks the others."""
        for message in super().read(source_spec, config, catalog, state):
            if message.trace and (error := message.trace.error):
                error.message = filter_secrets(error.message)
                error.internal_message = filter_secrets(error.internal_message or "")
                error.stack_trace = filter_secrets(error.stack_trace or "")
            yield message


# New objects before Python looks for reference cycles, which rows do not have. The default of 700
# is some 40 rows.
_GARBAGE_COLLECTION_AFTER = 20_000

# Seconds after which a thread must yield to another. Python's default of 5 ms is less than the
# processing of a page; threads that interrupt each other there only wait for their common queue. A
# request releases the lock anyway.
_SWITCH_INTERVAL = 0.1

# What shells add to the number of the signal that has ended a program.
_BY_SIGNAL = 128

# Of bytes, and in seconds: how much of the output waits, and for how long.
_BUFFER = 1 << 16
_LONGEST_WAIT = 0.1


class Output(io.TextIOBase):
    """Standard output in UTF-8, whatever the locale is. Several threads write lines to it, each
    with one call.

    The CDK's own buffer copies long lines several times.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        if sys.__stdout__ is None:
            raise OSError(errno.EBADF, "standard output is closed")
        self._file = io.BufferedWriter(io.FileIO(sys.__stdout__.fileno(), "wb", closefd=False), _BUFFER)
        self._flushed = time.monotonic()

    def write(self, text: str) -> int:
        with self._lock:
            self._file.write(text.encode(errors="backslashreplace"))
            if time.monotonic() - self._flushed > _LONGEST_WAIT:
                self.flush()
        return len(text)

    def flush(self) -> None:
        with self._lock:
            self._file.flush()
            self._flushed = time.monotonic()


def run(arguments: Sequence[str] | None = None) -> None:
    """The process: run one command, and end."""
    gc.set_threshold(_GARBAGE_COLLECTION_AFTER)
    sys.setswitchinterval(_SWITCH_INTERVAL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: _end(_BY_SIGNAL + number))
    try:
        exit_code = execute(sys.argv[1:] if arguments is None else arguments)
    except OSError as error:
        # Whatever else cannot be read or sent is an error of its own.
        sys.stderr.write(f"The output cannot be written: {error.strerror}. The command has stopped.\n")
        exit_code = 1
    if exit_code:
        _end(exit_code)


def execute(arguments: Sequence[str]) -> int:
    """Print the output of one command of the Airbyte protocol: spec, check, discover or read.
    Returns the exit code.

    Raises OSError where it cannot be written.
    """
    command = AirbyteEntrypoint.parse_args(list(arguments) or ["--help"])
    logs = next(each for each in logging.getLogger().handlers if isinstance(each, logging.StreamHandler))
    output = Output()
    try:
        with redirect_stdout(output):
            logs.setStream(output)
            exit_code = _print(command)
            output.flush()
    finally:
        with suppress(OSError):
            logs.setStream(PRINT_BUFFER)
    return exit_code


def messages(command: Namespace) -> Iterator[str]:
    """The output of a command, message by message. Raises AirbyteTracedException."""
    return iter(Entrypoint(SourcePrefect()).run(command))


def _print(command: Namespace) -> int:
    lines = messages(command)
    while True:
        try:
            line = next(lines, None)
        except Exception as error:
            return _print_failure(command, error)
        if line is None:
            return 0
        sys.stdout.write(f"{line}\n")


def _print_failure(command: Namespace, error: Exception) -> int:
    failed = assemble_uncaught_exception(type(error), error)
    status = failed.as_connection_status_message() if command.command == "check" else None
    if status and failed.failure_type == FailureType.config_error:
        sys.stdout.write(f"{orjson.dumps(AirbyteMessageSerializer.dump(status)).decode()}\n")
        return 0
    failed.emit_message()
    return 1


def _end(exit_code: int) -> NoReturn:
    """End the process at once: Python would wait for a thread that waits for an answer."""
    os._exit(exit_code)
