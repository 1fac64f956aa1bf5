"""Stubs of data catalogs: each refuses what the real one refuses, by its code or its
documentation.

They were made from Marquez of March 2025, DataHub and OpenMetadata 2.0 of autumn 2026, and the
documentation of Atlan and of Google Dataplex. None of those servers was run.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from devtools.openlineage import problems
from devtools.servers.proxy import Answer, Forward, Proxy, Request, proxy

Event = dict[str, Any]
KEY = "a-key"

_REQUIRED_BY_MARQUEZ = {
    "parent": ("run", "job"),
    "nominalTime": ("nominalStartTime",),
    "documentation": ("description",),
}
_FIELDS_OF_OPENMETADATA = {"eventTime", "eventType", "producer", "schemaURL", "run", "job", "inputs", "outputs"}


@dataclass
class Catalog:
    """A catalog that takes events at a path, with a key."""

    path: str
    key: str | None = KEY
    taken: list[Event] = field(default_factory=list)

    def __call__(self, request: Request, forward: Forward) -> Answer:  # noqa: ARG002  (there is no server behind it)
        if (request.method, request.path) != ("POST", self.path):
            return said(404, "There is nothing here.")
        if request.headers.get("Content-Type") != "application/json":
            return said(415, "JSON is wanted.")
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return said(401, "Unauthorized")
        return self.take(request.body)

    def take(self, event: Event) -> Answer:
        raise NotImplementedError


@dataclass
class Marquez(Catalog):
    """Reads events into its classes, in which some fields may not be null. It asks for no key."""

    path: str = "api/v1/lineage"
    key: str | None = None

    def take(self, event: Event) -> Answer:
        run, job = event.get("run"), event.get("job")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", str(event.get("eventTime"))):
            return said(400, "eventTime is no time with a zone")
        if not (
            run and run.get("runId") and job and job.get("namespace") and job.get("name") and event.get("producer")
        ):
            return said(422, "may not be null")
        for facet_name, facet in {**run.get("facets", {}), **job.get("facets", {})}.items():
            required = ("_producer", "_schemaURL", *_REQUIRED_BY_MARQUEZ.get(facet_name, ()))
            if missing := [name for name in required if facet.get(name) is None]:
                return said(422, f"{facet_name}.{missing[0]} may not be null")
        self.taken.append(event)
        return Answer(201, b"")


@dataclass
class DataHub(Catalog):
    """Validates events and facets against OpenLineage's schemas. It takes events of runs only."""

    path: str = "openapi/openlineage/api/v1/lineage"

    def take(self, event: Event) -> Answer:
        if found := problems(event):
            return said(400, "; ".join(found))
        self.taken.append(event)
        return Answer(202, b"")


@dataclass
class Atlan(Catalog):
    """Ignores an event whose job is not in the namespace of its connection."""

    path: str = "events/openlineage/generic-openlineage/api/v1/lineage"
    connection: str = "prefect"
    ignored: list[Event] = field(default_factory=list)

    def take(self, event: Event) -> Answer:
        (self.taken if event["job"]["namespace"] == self.connection else self.ignored).append(event)
        return said(200, "ok")


@dataclass
class Dataplex(Catalog):
    """Has limits for a message, a name, and the links between inputs and outputs."""

    path: str = "v1/projects/shop/locations/eu:processOpenLineageRunEvent"

    def take(self, event: Event) -> Answer:
        if len(json.dumps(event).encode()) > 5_000_000:
            return said(400, "The message has more than 5 MB.")
        inputs, outputs = event.get("inputs", []), event.get("outputs", [])
        if len(inputs) * len(outputs) > 1_000:
            return said(400, "The event has more than 1000 links.")
        if any(len(f"{side['namespace']}:{side['name']}") > 4_000 for side in [*inputs, *outputs]):
            return said(400, "A fully qualified name has more than 4000 characters.")
        self.taken.append(event)
        return said(200, "ok")


@dataclass
class OpenMetadata(Catalog):
    """Keeps edges of COMPLETE events between tables it knows. It drops the rest, with a 200."""

    path: str = "api/v1/openlineage/lineage"
    # The names of tables with that of their service in front, and the service of each namespace.
    tables: Collection[str] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    edges: set[tuple[str, str]] = field(default_factory=set)

    def take(self, event: Event) -> Answer:
        if (
            event.keys() - _FIELDS_OF_OPENMETADATA
            or not {"eventTime", "producer", "schemaURL", "run", "job"} <= event.keys()
        ):
            return said(400, "Invalid event format")
        self.taken.append(event)
        drawn = set()
        if event.get("eventType", "COMPLETE") == "COMPLETE":
            sides = [[self._table(side) for side in event.get(name) or ()] for name in ("inputs", "outputs")]
            drawn = {(source, to) for source in sides[0] for to in sides[1] if source and to}
        self.edges |= drawn
        return Answer(200, json.dumps({"status": "success", "lineageEdgesCreated": len(drawn)}).encode())

    def _table(self, dataset: Event) -> str | None:
        name = f"{self.services.get(dataset['namespace'])}.{dataset['name']}"
        return name if name in self.tables and len(dataset["name"].split(".")) in (2, 3) else None


@contextmanager
def served(catalog: Catalog) -> Iterator[Proxy]:
    """Serve a stub on a free port of 127.0.0.1 until the block ends."""
    with proxy("http://127.0.0.1", catalog, prefix="") as running:
        yield running


def said(status: int, message: str) -> Answer:
    return Answer(status, json.dumps({"message": message}).encode())
