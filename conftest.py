"""What the unit tests and those against a server share."""

from collections.abc import Iterator
from functools import cache
from unittest.mock import patch

import pytest


@pytest.fixture(scope="session", autouse=True)
def _schema_parsed_once() -> Iterator[None]:
    """The CDK parses its own schema for each source: a third of what a source costs, and the tests make hundreds."""
    # Not above: the process that hands out the tests to workers makes no source.
    from airbyte_cdk.sources.declarative import concurrent_declarative_source as cdk

    with patch.object(cdk, "get_declarative_component_schema", cache(cdk.get_declarative_component_schema)):
        yield
