"""What a row costs in the CDK alone: `python -m benchmarks.cdk_alone COUNT < PAGE` prints CPU
microseconds a row.

A page of flat rows, as JSON, is sent again and again through the CDK: queue, message,
serialization, printing.
"""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice
from queue import Queue
from typing import Any

import orjson
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.sources.concurrent_source.concurrent_source import ConcurrentSource
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.streams.concurrent.cursor import FinalStateCursor
from airbyte_cdk.sources.streams.concurrent.default_stream import DefaultStream
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.streams.concurrent.partitions.partition_generator import PartitionGenerator
from airbyte_cdk.sources.types import Record
from airbyte_cdk.sources.utils.slice_logger import DebugSliceLogger

_STREAM = "rows"


class _Rows(Partition, PartitionGenerator):
    def __init__(self, page: list[dict[str, Any]], count: int) -> None:
        self._page = page
        self._count = count

    def generate(self) -> Iterator[Partition]:
        yield self

    def read(self) -> Iterable[Record]:
        for row in islice(cycle(self._page), self._count):
            yield Record(data=dict(row), stream_name=_STREAM)

    def to_slice(self) -> Mapping[str, Any]:
        return {}

    def stream_name(self) -> str:
        return _STREAM

    __hash__ = object.__hash__


def main() -> None:
    count = int(sys.argv[1])
    messages = InMemoryMessageRepository()
    logger = logging.getLogger("airbyte")
    queue: Queue[Any] = Queue(10_000)
    source = ConcurrentSource.create(2, 1, logger, DebugSliceLogger(), messages, queue)
    cursor = FinalStateCursor(_STREAM, None, messages)
    rows = _Rows(orjson.loads(sys.stdin.read()), count)
    stream = DefaultStream(rows, _STREAM, {"properties": {}}, [], None, logger, cursor)
    began = time.process_time()
    with PRINT_BUFFER:
        for message in source.read([stream]):
            print(f"{AirbyteEntrypoint.airbyte_message_to_string(message)}\n", end="")  # as the CDK prints them
    print((time.process_time() - began) / count * 1e6)


if __name__ == "__main__":
    main()
