"""The classes that `manifest.yaml` names: they do what the CDK's own components cannot express."""

from source_prefect.config.normalize import NormalizeConfig
from source_prefect.http.auth import ServerAuthenticator
from source_prefect.http.errors import PrefectErrorHandler, RetryAfterBackoffStrategy
from source_prefect.http.requester import PrefectRequester
from source_prefect.records.transformations import DescribeSchedule, FlattenRecord, LinkToUi, NameValueType
from source_prefect.streams.changes import ChangeLogRetriever
from source_prefect.streams.events import EventRetriever
from source_prefect.streams.feeds import LogRetriever
from source_prefect.streams.lineage import LineageRetriever
from source_prefect.streams.runs import RunRetriever, TaskDependencyRetriever
from source_prefect.streams.tables import (
    DeploymentRetriever,
    ScheduleRetriever,
    TableRetriever,
    UnorderedTableRetriever,
)
from source_prefect.streams.transitions import StateTransitionRetriever
from source_prefect.streams.workspaces import WorkspaceRetriever

__all__ = [
    "ChangeLogRetriever",
    "DeploymentRetriever",
    "DescribeSchedule",
    "EventRetriever",
    "FlattenRecord",
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
    "TaskDependencyRetriever",
    "UnorderedTableRetriever",
    "WorkspaceRetriever",
]
