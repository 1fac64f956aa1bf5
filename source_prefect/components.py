"""The classes that `manifest.yaml` names: they do what the CDK's own components cannot express."""
# ruff: noqa: F401  (the manifest uses the imports)

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.transformations.config_transformations.config_transformation import (
    ConfigTransformation,
)

from source_prefect.http.errors import failure
from source_prefect.http.session import EveryAnswer, PrefectRequester, ServerAuthenticator
from source_prefect.reading.changes import ChangeLogRetriever
from source_prefect.reading.events import EventRetriever
from source_prefect.reading.feeds import LogRetriever
from source_prefect.reading.lineage import LineageRetriever
from source_prefect.reading.runs import RunRetriever, TaskDependencyRetriever
from source_prefect.reading.tables import (
    BlockDocumentRetriever,
    DeploymentRetriever,
    QueueStatusRetriever,
    ScheduleRetriever,
    SmallTableRetriever,
    TableRetriever,
    WorkerRetriever,
)
from source_prefect.reading.workspaces import WorkspaceRetriever
from source_prefect.records.transformations import DescribeSchedule, FlattenRecord, LinkToUi, NameValueType


@dataclass
class RefuseOtherRunners(ConfigTransformation):
    """Says how to run the connector, where a tool of the CDK runs the manifest alone.

    `source-declarative-manifest` and PyAirbyte's `source_manifest=` would read every stream
    completely in every sync, without a word: the cursors are those of `SourcePrefect`, which
    passes no config through here.
    """

    def transform(self, config: MutableMapping[str, Any]) -> None:  # noqa: ARG002  (the CDK's signature)
        raise failure(
            "This manifest needs its package to keep states. Run the command source-prefect; with PyAirbyte, "
            'get_source("source-prefect", local_executable="source-prefect").',
            FailureType.config_error,
        )
