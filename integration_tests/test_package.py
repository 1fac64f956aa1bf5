"""The package as Airbyte's image installs it: from a wheel, and editable, in any directory."""

import ast
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from devtools.connector import run_here
from devtools.data.seeding import make_one_of_everything
from devtools.matrix.pythons import SUPPORTED, find_python, make_environment
from devtools.servers.prefect import PrefectServer
from integration_tests.record_rules import STREAMS

PROJECT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "build", "--quiet", "--wheel", "--out-dir", str(folder)], cwd=PROJECT, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(params=["wheel", "editable"])
def scripts(request: pytest.FixtureRequest, installation: Path) -> Path:
    """The folder of the commands: of an install of the package alone, or of the development."""
    return installation / "bin" if request.param == "wheel" else Path(sys.executable).parent


@pytest.fixture
def folder_of_another_connector(tmp_path: Path) -> Path:
    (tmp_path / "manifest.yaml").write_text("version: 0.0.1\ntype: DeclarativeSource\nstreams: []\n")
    (tmp_path / "components.py").write_text("raise RuntimeError('not this one')\n")
    return tmp_path


def _run(command: list[str | Path], cwd: Path) -> list[dict[str, Any]]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=180, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return [message for message in messages if message["type"] != "LOG"]


def test_every_command_works_in_a_folder_that_holds_another_manifest(
    scripts: Path, folder_of_another_connector: Path, server: PrefectServer, config: dict[str, Any]
) -> None:
    server.clear()
    make_one_of_everything(server)
    folder = folder_of_another_connector
    (folder / "config.json").write_text(json.dumps(config))
    connector = scripts / "source-prefect"
    assert _run([connector, "spec"], folder) == run_here("spec")
    (status,) = _run([connector, "check", "--config", "config.json"], folder)
    assert status["connectionStatus"]["status"] == "SUCCEEDED"
    discovered = _run([connector, "discover", "--config", "config.json"], folder)
    assert discovered == run_here("discover", config)
    catalog = {
        "streams": [
            {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
            for stream in discovered[0]["catalog"]["streams"]
        ]
    }
    (folder / "catalog.json").write_text(json.dumps(catalog))
    messages = _run([connector, "read", "--config", "config.json", "--catalog", "catalog.json"], folder)
    assert {m["record"]["stream"] for m in messages if m["type"] == "RECORD"} >= set(STREAMS)


def test_every_other_supported_python_that_is_here_prints_the_same_spec(wheel: Path, tmp_path: Path) -> None:
    """This one runs all the other tests."""
    others = [version for version in SUPPORTED if not sys.version.startswith(f"{version}.")]
    for version, python in ((version, find_python(version)) for version in others):
        if python:
            folder = tmp_path / version
            programs = make_environment(folder, python, "--constraints", "constraints.txt", str(wheel))
            assert _run([programs / "source-prefect", "spec"], folder) == run_here("spec"), version


def test_the_source_can_be_imported(scripts: Path, tmp_path: Path) -> None:
    code = "from source_prefect import SourcePrefect; print(SourcePrefect.__name__)"
    done = subprocess.run([scripts / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "SourcePrefect\n"


@pytest.mark.parametrize("extra", ["health", "openlineage"])
def test_a_command_without_its_extra_says_so(extra: str) -> None:
    code = f"import sys; sys.modules['duckdb'] = None; from prefect_{extra}.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"prefect-{extra} needs duckdb: .*pip install '\.\[{extra}.*\]'\n", done.stderr)


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "source_prefect/manifest.yaml" in names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        *("source_prefect", "prefect_health", "prefect_openlineage")
    }


def test_the_wheel_asks_for_what_the_connector_imports(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if re.fullmatch(r"source_prefect/.+\.py", name)]
        sources = [archive.read(name).decode() for name in modules]
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    imported = {name.split(".")[0] for source in sources for name in _imports(source)}
    foreign = imported - sys.stdlib_module_names - {"source_prefect"}
    # PyYAML is imported as yaml.
    distributions = {canonicalize_name(packages_distributions()[name][0]) for name in foreign}
    required = [Requirement(line) for line in re.findall(r"^Requires-Dist: (.+)$", metadata, re.MULTILINE)]
    # The others belong to an extra.
    declared = [requirement for requirement in required if not requirement.marker]
    assert {canonicalize_name(requirement.name) for requirement in declared} == distributions
    # A range has two ends.
    assert [str(r) for r in declared if {s.operator for s in r.specifier} != {">=", "<"}] == []


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            yield node.module
