"""The manifest: the specification, and the streams with all references resolved."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from airbyte_cdk.sources.declarative.parsers.manifest_component_transformer import ManifestComponentTransformer
from airbyte_cdk.sources.declarative.parsers.manifest_reference_resolver import ManifestReferenceResolver

Manifest = Mapping[str, Any]


def manifest_path() -> Path:
    """Where the manifest is: in this folder in a wheel, one folder up in a checkout."""
    shipped = Path(__file__).resolve().with_name("manifest.yaml")
    return shipped if shipped.exists() else shipped.parents[1] / shipped.name


def load() -> Manifest:
    """The manifest as it is written."""
    # Both loaders are safe; the one in C takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return cast(Manifest, yaml.load(manifest_path().read_bytes(), Loader=loader))  # noqa: S506


def stream_names(manifest: Manifest) -> list[str]:
    """The names of all streams, in their order. Each is declared under its name."""
    return [reference["$ref"].rpartition("/")[2] for reference in manifest["streams"]]


def resolved(manifest: Manifest, names: Collection[str]) -> Manifest:
    """The manifest with these streams alone, as the CDK wants it to build them."""
    chosen = [each for name, each in zip(stream_names(manifest), manifest["streams"], strict=True) if name in names]
    complete = ManifestReferenceResolver().preprocess_manifest({**manifest, "streams": chosen})
    return ManifestComponentTransformer().propagate_types_and_parameters("", complete, {})
