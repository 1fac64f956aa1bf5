"""The command `source-prefect`."""

import sys
from collections.abc import Sequence

from airbyte_cdk.entrypoint import AirbyteEntrypoint, launch
from airbyte_cdk.exception_handler import init_uncaught_exception_handler
from airbyte_cdk.logger import init_logger

from source_prefect.source import SourcePrefect


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command of the Airbyte protocol: spec, check, discover or read."""
    init_uncaught_exception_handler(init_logger("airbyte"))
    args = list(sys.argv[1:] if arguments is None else arguments)
    launch(source(args), args)


def source(args: list[str]) -> SourcePrefect:
    """The source for a command with these arguments."""
    catalog_path = AirbyteEntrypoint.extract_catalog(args)
    config_path = AirbyteEntrypoint.extract_config(args)
    state_path = AirbyteEntrypoint.extract_state(args)
    return SourcePrefect(
        catalog=SourcePrefect.read_catalog(catalog_path) if catalog_path else None,
        config=SourcePrefect.read_config(config_path) if config_path else None,
        state=SourcePrefect.read_state(state_path) if state_path else None,
        config_path=config_path,
    )
