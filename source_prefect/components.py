"""The classes that `manifest.yaml` names: they do what the CDK's own components cannot express."""

from source_prefect.elsewhere import RefuseOtherRunners
from source_prefect.http.session import PrefectRequester, ServerAuthenticator
from source_prefect.reading.changes import ChangeLogRetriever
from source_prefect.reading.events import EventRetriever
from source_prefect.reading.feeds import LogRetriever
from source_prefect.reading.lineage import LineageRetriever
from source_prefect.reading.runs import RunRetriever, TaskDependencyRetriever
from source_prefect.reading.tables import (
    DeploymentRetriever,
    ScheduleRetriever,
    TableRetriever,
    UnorderedTableRetriever,
)
from source_prefect.reading.workspaces import WorkspaceRetriever
from source_prefect.records.transformations import DescribeSchedule, FlattenRecord, LinkToUi, NameValueType

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
    "PrefectRequester",
    "RefuseOtherRunners",
    "RunRetriever",
    "ScheduleRetriever",
    "ServerAuthenticator",
    "TableRetriever",
    "TaskDependencyRetriever",
    "UnorderedTableRetriever",
    "WorkspaceRetriever",
]
