"""The classes that `manifest.yaml` names: what the CDK's own components cannot express."""

from source_prefect.components.auth import ServerAuthenticator
from source_prefect.components.config import NormalizeConfig
from source_prefect.components.events import EventRetriever
from source_prefect.components.feeds import LogRetriever
from source_prefect.components.http import JsonListExtractor, PrefectErrorHandler, RetryAfterBackoffStrategy
from source_prefect.components.lineage import LineageRetriever
from source_prefect.components.records import (
    DescribeSchedule,
    FlattenRecord,
    LinkToUi,
    NameValueType,
)
from source_prefect.components.requester import PrefectRequester
from source_prefect.components.retrievers import TableRetriever
from source_prefect.components.runs import RunRetriever
from source_prefect.components.tables import ScheduleRetriever, UnorderedTableRetriever
from source_prefect.components.transitions import StateTransitionRetriever

__all__ = [
    "DescribeSchedule",
    "EventRetriever",
    "FlattenRecord",
    "JsonListExtractor",
    "LineageRetriever",
    "LinkToUi",
    "LogRetriever",
    "NameValueType",
    "NormalizeConfig",
    "PrefectErrorHandler",
    "PrefectRequester",
    "RetryAfterBackoffStrategy",
    "RunRetriever",
    "ScheduleRetriever",
    "ServerAuthenticator",
    "StateTransitionRetriever",
    "TableRetriever",
    "UnorderedTableRetriever",
]
