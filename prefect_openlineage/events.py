"""OpenLineage's events of runs: a START and, when a run has ended, a COMPLETE, FAIL or ABORT.

A run keeps its UUID, so that an event that is sent twice changes nothing. A task run is a child
job of its flow run; a subflow run is one of the flow run that called it, and the task run that
stands for it in between is left out.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    documentation_job,
    error_message_run,
    job_type_job,
    nominal_time_run,
    ownership_job,
    parent_run,
    processing_engine_run,
    source_code_location_job,
    tags_job,
    tags_run,
)
from openlineage.client.generated.base import JobFacet, RunFacet, set_producer

from prefect_openlineage.datasets import Dataset, Datasets
from prefect_openlineage.facets import PrefectJobFacet, PrefectRunFacet
from prefect_openlineage.source_code import source_code
from prefect_openlineage.tables import Row, Tables

PRODUCER = "https://docs.airbyte.com/integrations/sources/prefect"
# The client writes it into every facet.
set_producer(PRODUCER)

ENDED = {
    "COMPLETED": RunState.COMPLETE,
    "FAILED": RunState.FAIL,
    "CRASHED": RunState.FAIL,
    "CANCELLED": RunState.ABORT,
}

# Prefect appends a hash to a task's name, so that two tasks of one name are told apart.
_HASH = re.compile(r"-[0-9a-f]{8}$")

# What says more as another facet, or as a dataset, need not be a tag of the catalog as well.
_OTHER_FACETS = ("om-source", "om-destination", "source", "destination", "owner")

# Receivers limit the size of an event: a message may hold a whole page that a server has answered.
LONGEST_TEXT = 10_000


class Parent(NamedTuple):
    """The flow run that a run belongs to, and the topmost one above it."""

    run_id: str
    job: str
    root_run_id: str
    root_job: str


@dataclass
class Jobs:
    """The jobs of flows and deployments: names, descriptions, and what their tags declare."""

    namespace: str = "prefect"
    # Whether each deployment is a job of its own, as its tags are, or the flow is one for all of
    # them.
    per_deployment: bool = True
    flows: Mapping[str, Row] = field(default_factory=dict)
    deployments: Mapping[str, Row] = field(default_factory=dict)
    lineage: Mapping[tuple[str | None, str | None], list[Row]] = field(default_factory=dict)
    workspaces: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, tables: Tables, namespace: str = "prefect", *, per_deployment: bool = True) -> "Jobs":
        lineage: dict[tuple[str | None, str | None], list[Row]] = {}
        for edge in tables.rows("SELECT * FROM {lineage}"):
            lineage.setdefault((edge["flow_id"], edge["deployment_id"]), []).append(edge)
        return cls(
            namespace,
            per_deployment,
            {flow["id"]: flow for flow in tables.rows("SELECT * FROM {flows}")},
            {deployment["id"]: deployment for deployment in tables.rows("SELECT * FROM {deployments}")},
            lineage,
            {workspace["id"]: workspace["name"] for workspace in tables.rows("SELECT * FROM {workspaces}")},
        )

    def namespace_of(self, run: Row) -> str:
        """The namespace of a run's job, with the name of its workspace where that is asked for."""
        workspace = run["workspace_id"]
        return self.namespace.format(workspace=self.workspaces.get(workspace, workspace) or "default")

    def name(self, flow_run: Row) -> str:
        """`load-orders/nightly`, Prefect's name of a deployment; without one, `load-orders`."""
        flow = self.flows.get(flow_run["flow_id"], {}).get("name") or str(flow_run["flow_id"])
        deployment = self.deployments.get(flow_run["deployment_id"] or "", {}).get("name")
        return f"{flow}/{deployment}" if deployment and self.per_deployment else flow

    def tags(self, flow_run: Row) -> list[str]:
        deployment = self.deployments.get(flow_run["deployment_id"] or "", {})
        flow = self.flows.get(flow_run["flow_id"], {})
        return list(dict.fromkeys([*_texts(deployment.get("tags")), *_texts(flow.get("tags"))]))

    def declared(self, flow_run: Row) -> list[Row]:
        return self.lineage.get((flow_run["flow_id"], flow_run["deployment_id"]), [])


@dataclass
class Events:
    """Makes the events of runs. `prefect_version` is told, for no table holds it."""

    jobs: Jobs
    datasets: Datasets
    prefect_version: str = "unknown"
    # What an owner is called: `team:{owner}`.
    owner: str = "{owner}"
    # Whether the receiver takes each event for itself; of others the START says what does not
    # change.
    whole: bool = False
    # Those of a flow and deployment are the same for all of its runs.
    _job_facets: dict[tuple[str, str | None], dict[str, JobFacet]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._engine = processing_engine_run.ProcessingEngineRunFacet(
            version=self.prefect_version,
            name="Prefect",
            openlineageAdapterVersion=version("airbyte-source-prefect"),
        )

    def of_flow_run(self, run: Row, assets: Iterable[Row], parent: Parent | None) -> Iterator[RunEvent]:
        """The events of a flow run, with the tables in its tags and the assets that it made."""
        inputs, outputs = self._observed(assets)
        for edge in self.jobs.declared(run):
            inputs |= self._dataset(edge["source"])
            outputs |= self._dataset(edge["destination"])
        facets = self._run_facets(run, parent)
        if run["auto_scheduled"] and run["expected_start_time"]:
            facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(_text(run["expected_start_time"]))
        key = (run["flow_id"], run["deployment_id"])
        if key not in self._job_facets:
            self._job_facets[key] = self._flow_facets(run)
        job = Job(self.jobs.namespace_of(run), self.jobs.name(run), self._job_facets[key])
        yield from self._events(run, job, facets, inputs, outputs)

    def of_task_run(self, run: Row, assets: Iterable[Row], parent: Parent | None) -> Iterator[RunEvent]:
        """The events of a task run, with the assets that it has made."""
        task = _HASH.sub("", run["task_key"] or run["name"])
        name = f"{parent.job}.{task}" if parent else task
        job = Job(self.jobs.namespace_of(run), name, {"jobType": _job_type("TASK")})
        yield from self._events(run, job, self._run_facets(run, parent), *self._observed(assets))

    def _events(
        self,
        run: Row,
        job: Job,
        facets: dict[str, RunFacet],
        inputs: dict[Dataset, None],
        outputs: dict[Dataset, None],
    ) -> Iterator[RunEvent]:
        ended = ENDED.get(run["state_type"])
        end = run["end_time"] or run["state_timestamp"] or run["expected_start_time"] or run["_airbyte_extracted_at"]
        # A run that was cancelled before it began has no start, but every run must have a START.
        times = [(RunState.START, run["start_time"] or end)] + ([(ended, end)] if ended else [])
        if ended in (RunState.FAIL, RunState.ABORT) and run["state_message"]:
            error = error_message_run.ErrorMessageRunFacet(run["state_message"][:LONGEST_TEXT], "Python")
        else:
            error = None
        for state, at in times:
            # The state of a run that has ended is none of when it began.
            name = run["state_name"] if state is ended or not ended else None
            new: dict[str, RunFacet] = {
                "prefect_run": PrefectRunFacet(run["name"], name, run["run_count"], run["ui_url"])
            }
            if error and state is ended:
                new["errorMessage"] = error
            if state is RunState.START or self.whole:
                of_run, of_job = facets | new, job
            else:
                # The receiver puts the events of a run together; where it belongs is said on each.
                of_run = {key: facets[key] for key in ("parent",) if key in facets} | new
                of_job = Job(job.namespace, job.name)
            yield RunEvent(
                eventTime=_text(at),
                producer=PRODUCER,
                eventType=state,
                run=Run(run["id"], of_run),
                job=of_job,
                inputs=[InputDataset(*dataset) for dataset in inputs],
                outputs=[OutputDataset(*dataset) for dataset in outputs],
            )

    def _run_facets(self, run: Row, parent: Parent | None) -> dict[str, RunFacet]:
        facets: dict[str, RunFacet] = {"processing_engine": self._engine}
        if tags := list(_tags(_texts(run["tags"]))):
            facets["tags"] = tags_run.TagsRunFacet([tags_run.TagsRunFacetFields(*tag) for tag in tags])
        if parent:
            namespace = self.jobs.namespace_of(run)
            facets["parent"] = parent_run.ParentRunFacet(
                parent_run.Run(parent.run_id),
                parent_run.Job(namespace, parent.job),
                parent_run.Root(parent_run.RootRun(parent.root_run_id), parent_run.RootJob(namespace, parent.root_job)),
            )
        return facets

    def _flow_facets(self, run: Row) -> dict[str, JobFacet]:
        facets: dict[str, JobFacet] = {"jobType": _job_type("DAG")}
        tags = self.jobs.tags(run)
        if shown := list(_tags(tags)):
            facets["tags"] = tags_job.TagsJobFacet([tags_job.TagsJobFacetFields(*tag) for tag in shown])
        if owners := [value for key, value in map(_key_and_value, tags) if key.lower() == "owner" and value]:
            facets["ownership"] = ownership_job.OwnershipJobFacet(
                [ownership_job.Owner(self.owner.format(owner=name)) for name in owners]
            )
        deployment = self.jobs.deployments.get(run["deployment_id"] or "", {})
        url = deployment.get("ui_url") or self.jobs.flows.get(run["flow_id"], {}).get("ui_url")
        if url or deployment.get("schedule"):
            facets["prefect_job"] = PrefectJobFacet(deployment.get("schedule"), url)
        # A flow without a docstring is described as "None" when it is deployed with `flow.deploy`.
        if (description := deployment.get("description")) and description != "None":
            facets["documentation"] = documentation_job.DocumentationJobFacet(
                description[:LONGEST_TEXT], contentType="text/markdown"
            )
        if code := source_code(deployment.get("entrypoint"), deployment.get("pull_steps")):
            facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
                "git", code.url, code.repository, code.path, code.version, branch=code.branch
            )
        return facets

    def _observed(self, assets: Iterable[Row]) -> tuple[dict[Dataset, None], dict[Dataset, None]]:
        """What the assets were made from, and the assets: dicts, because these keep an order."""
        inputs: dict[Dataset, None] = {}
        outputs: dict[Dataset, None] = {}
        for made in assets:
            outputs |= self._dataset(made["asset"])
            for upstream in _texts(made["upstream_assets"]):
                inputs |= self._dataset(upstream)
        return inputs, outputs

    def _dataset(self, name: str | None) -> dict[Dataset, None]:
        return {self.datasets.of(name): None} if name else {}


def shown(event: RunEvent) -> str:
    """An event in a line, for a person."""
    sides = [
        ", ".join(f"{side.namespace} {side.name}" for side in found)
        for found in (event.inputs or [], event.outputs or [])
    ]
    tables = f"  {sides[0] or '-'} → {sides[1] or '-'}" if any(sides) else ""
    state = event.eventType.value if event.eventType else ""
    return f"{event.eventTime}  {state:8}  {event.job.name}{tables}"


def _job_type(kind: str) -> job_type_job.JobTypeJobFacet:
    return job_type_job.JobTypeJobFacet(processingType="BATCH", integration="PREFECT", jobType=kind)


def _tags(tags: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Key, value and source of each tag that is not told otherwise."""
    for key, value in map(_key_and_value, tags):
        if key and key.lower() not in _OTHER_FACETS:
            yield key, value or "true", "PREFECT"


def _key_and_value(tag: str) -> tuple[str, str]:
    key, _, value = tag.partition(":")
    return key.strip(), value.strip()


def _texts(value: Any) -> list[str]:
    """The texts of a list, which the tables hold as JSON."""
    try:
        values = json.loads(value or "[]")
    except ValueError:
        return []
    return [text for text in values if isinstance(text, str)] if isinstance(values, list) else []


def _text(time: datetime) -> str:
    """A time of the tables, which is UTC, as OpenLineage writes it."""
    return f"{time.isoformat(timespec='microseconds')}Z"
