"""The registry card and its files: Airbyte's tools read them; nothing else would notice a slip."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from airbyte_connector_models.metadata.v0.connector_metadata_definition_v0 import ConnectorMetadataDefinitionV0

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def metadata() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROOT / "metadata.yaml").read_text())
    return data


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yaml").read_text())
    return data


@pytest.mark.parametrize("path", ["metadata.yaml", "builder/metadata.yaml"])
def test_metadata_is_what_the_registry_takes(path: str) -> None:
    ConnectorMetadataDefinitionV0.model_validate(yaml.safe_load((ROOT / path).read_text()))


def test_the_version_is_the_same_everywhere(metadata: dict[str, Any]) -> None:
    found = {
        "metadata.yaml": metadata["data"]["dockerImageTag"],
        "pyproject.toml": _first(r'^version = "(.+)"$', "pyproject.toml"),
        "the installed package": version("airbyte-source-prefect"),
        "builder/metadata.yaml": _first(r"^  dockerImageTag: (.+)$", "builder/metadata.yaml"),
        "builder/prefect.md": _first(r"^\| (\d+\.\d+\.\d+) \|", "builder/prefect.md"),
        "CHANGELOG.md": _first(r"^## (\d\S*)", "CHANGELOG.md"),
        "docs/prefect.md": _first(r"^\| (\d+\.\d+\.\d+) \|", "docs/prefect.md"),
    }
    assert len(set(found.values())) == 1, found


def test_the_cdk_that_the_manifest_names_may_be_installed(manifest: dict[str, Any]) -> None:
    oldest = _first(r'"airbyte-cdk>=([\d.]+),', "pyproject.toml")
    assert manifest["version"].startswith(f"{oldest}."), (manifest["version"], oldest)


def test_metadata_and_manifest_name_the_same_documentation(metadata: dict[str, Any], manifest: dict[str, Any]) -> None:
    assert metadata["data"]["documentationUrl"] == manifest["spec"]["documentation_url"]


def test_the_suggested_streams_are_streams(metadata: dict[str, Any], manifest: dict[str, Any]) -> None:
    streams = {entry["$ref"].rsplit("/", 1)[-1] for entry in manifest["streams"]}
    assert set(metadata["data"]["suggestedStreams"]["streams"]) <= streams


def test_the_allowed_hosts_are_the_clouds_and_the_configured_one(
    metadata: dict[str, Any], manifest: dict[str, Any]
) -> None:
    connections = manifest["spec"]["connection_specification"]["properties"]["connection"]["oneOf"]
    default = connections[0]["properties"]["api_url"]["default"]
    assert metadata["data"]["allowedHosts"]["hosts"] == [default.split("/")[2], "${connection.api_url}"]
    assert all("api_url" in connection["properties"] for connection in connections)


def test_the_icon_is_square_and_complete_in_itself() -> None:
    icon = ElementTree.parse(ROOT / "icon.svg").getroot()  # noqa: S314  (our own file)
    left, top, width, height = (float(number) for number in icon.attrib["viewBox"].split())
    assert (left, top, width) == (0, 0, height)
    assert icon.attrib["width"] == icon.attrib["height"]
    elements = {element.tag.rsplit("}", 1)[-1] for element in icon.iter()}
    assert not elements & {"image", "text", "script", "style", "foreignObject", "use"}


def _first(pattern: str, path: str) -> str:
    found = re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)
    assert found, f"{path} has nothing like {pattern}"
    return found[1]
