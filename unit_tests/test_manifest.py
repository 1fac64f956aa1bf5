"""Nothing in the manifest is lost: the CDK silently drops what a component does not know."""

import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import Any, get_type_hints

import pytest
from airbyte_cdk.sources.declarative.models import declarative_component_schema
from airbyte_cdk.sources.declarative.parsers.manifest_reference_resolver import ManifestReferenceResolver
from airbyte_cdk.sources.declarative.parsers.model_to_component_factory import ModelToComponentFactory

from source_prefect.manifest import load

Component = Mapping[str, Any]

PARAMETERS = "$parameters"
# How a template names a parameter.
NAMED = re.compile(r"parameters(?:\.get\(|\[|\.)\s*['\"]?(\w+)")


@pytest.fixture
def manifest() -> dict[str, Any]:
    resolved: dict[str, Any] = ManifestReferenceResolver().preprocess_manifest({**load()})
    # The CDK itself refuses unknown keys at the top; what the streams take from the definitions
    # stands in them.
    return {key: part for key, part in resolved.items() if key not in {"type", "definitions"}}


def components(value: Any, path: str = "manifest") -> Iterator[tuple[str, Component]]:
    """Each component in a value, with where it is."""
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from components(each, f"{path}[{number}]")
    elif isinstance(value, dict):
        if is_schema(value):
            return
        if "type" in value:
            yield path, value
        for key, each in value.items():
            if key != PARAMETERS:
                yield from components(each, f"{path}.{key}")


def is_schema(value: Component) -> bool:
    """Whether this is JSON schema: its `type` is none of the CDK's. A column may be named type."""
    kind = value.get("type")
    return kind == "object" or (kind is not None and not isinstance(kind, str))


def known(component: Component) -> Collection[str]:
    """The keys that reach a component: its model's fields; of a custom one, its class's hints."""
    if "class_name" in component:
        module, _, name = component["class_name"].rpartition(".")
        return {"type", "class_name", PARAMETERS, *get_type_hints(getattr(import_module(module), name))}
    model = getattr(declarative_component_schema, component["type"])
    return {field.alias for field in model.__fields__.values()}


def dropped_keys(manifest: Component) -> list[str]:
    return [f"{path}.{key}" for path, component in components(manifest) for key in component.keys() - known(component)]


def dropped_parameters(manifest: Component) -> list[str]:
    """Those that no component below knows, and no template names."""
    return [
        f"{path}.{PARAMETERS}.{key}"
        for path, component in components(manifest)
        for key in component.get(PARAMETERS, ())
        if not any(key in known(below) for _, below in components(component))
        and key not in NAMED.findall(str({**component, PARAMETERS: None}))
        and key not in taken(component)
    ]


def taken(component: Component) -> Collection[str]:
    """The parameters that the CDK gives the constructor of a component within a custom one."""
    model = getattr(declarative_component_schema, component["type"])
    return inspect.getfullargspec(ModelToComponentFactory().PYDANTIC_MODEL_TO_CONSTRUCTOR[model]).kwonlyargs


def test_every_key_is_one_that_its_component_knows(manifest: dict[str, Any]) -> None:
    assert dropped_keys(manifest) == []


def test_every_parameter_reaches_a_component(manifest: dict[str, Any]) -> None:
    assert dropped_parameters(manifest) == []


def test_a_key_that_would_be_dropped_is_found(manifest: dict[str, Any]) -> None:
    flows = manifest["streams"][0]
    flows["retriever"]["request_body_json"] = {}
    flows["transformations"][0]["column"] = "tags"
    flows["incremental_sync"]["cursor"] = "created"
    flows[PARAMETERS]["obiects"] = []
    assert sorted(dropped_keys(manifest)) == [
        "manifest.streams[0].incremental_sync.cursor",
        "manifest.streams[0].retriever.request_body_json",
        "manifest.streams[0].transformations[0].column",
    ]
    assert dropped_parameters(manifest) == [f"manifest.streams[0].{PARAMETERS}.obiects"]
