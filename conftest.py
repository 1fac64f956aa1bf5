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

    parse = getattr(cdk, "get_declarative_component_schema", None)
    # Older versions of the CDK keep it elsewhere; there each source parses it.
    with patch.object(cdk, "get_declarative_component_schema", parse and cache(parse), create=parse is None):
        yield


@pytest.fixture(scope="session", autouse=True)
def _requests_never_forgotten() -> Iterator[None]:
    """Start no thread that forgets a source's requests of more than a minute ago: it would never end."""
    from pyrate_limiter.abstracts.bucket import BucketFactory

    with patch.object(BucketFactory, "schedule_leak", lambda *_, **__: None):
        yield
