"""What is wrong with an OpenLineage event, by OpenLineage's schemas of events and facets."""

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from referencing import Registry, Resource

SPECIFICATION = Path(__file__).with_name("openlineage_spec")
_OWN = {
    part: f"https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/{part.title()}Facet" for part in ("run", "job")
}
RUN_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"


def problems(event: Any) -> list[str]:
    """What a strict receiver would find: none for a good event. A facet of an unknown kind is a
    problem here.

    Those of our own are known by their prefix, and have the schema of any facet.
    """
    found = [_said(error) for error in _validator(RUN_EVENT).iter_errors(event)]
    if found:
        return found
    for part in ("run", "job"):
        for name, facet in event[part].get("facets", {}).items():
            schema = _OWN[part] if name.startswith("prefect_") else _facets().get((part, name))
            if schema is None:
                found.append(f"{part}.facets.{name}: there is no such facet")
            else:
                found += [f"{part}.facets.{name}: {_said(error)}" for error in _validator(schema).iter_errors(facet)]
                found += [
                    f"{part}.facets.{name}.{field}: {facet[field]} is no absolute URI"
                    for field in ("_producer", "_schemaURL")
                    if not urlsplit(facet[field]).scheme
                ]
                if facet["_schemaURL"] != schema:
                    found.append(f"{part}.facets.{name}: {facet['_schemaURL']} is not its schema")
    if event["schemaURL"] != RUN_EVENT:
        found.append(f"schemaURL: {event['schemaURL']} is not that of a run event")
    return found


def _said(error: Any) -> str:
    return f"{'.'.join(map(str, error.absolute_path))}: {error.message}"


@cache
def _registry() -> Registry[Any]:
    schemas = [json.loads(file.read_text()) for file in SPECIFICATION.rglob("*.json")]
    return Registry().with_resources([(schema["$id"], Resource.from_contents(schema)) for schema in schemas])


@cache
def _facets() -> dict[tuple[str, str], str]:
    """The addresses of the facets' schemas, by what they belong to and their names."""
    found = {}
    for file in (SPECIFICATION / "facets").glob("*.json"):
        schema = json.loads(file.read_text())
        for name, reference in schema["properties"].items():
            part = "run" if file.stem.endswith("RunFacet") else "job"
            found[part, name] = schema["$id"] + reference["$ref"]
    return found


@cache
def _validator(address: str) -> Validator:
    return Draft202012Validator(
        {"$ref": address}, registry=_registry(), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
