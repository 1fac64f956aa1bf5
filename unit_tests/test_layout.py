"""Imports point one way: from tests to tools to the packages that are installed."""

import ast
import re
from pathlib import Path

import pytest

from devtools.matrix.pythons import ROOT

INSTALLED = {"source_prefect", "prefect_health", "prefect_openlineage"}
MAY_IMPORT: dict[str, set[str]] = {
    "source_prefect": set(),
    "prefect_health": set(),
    "prefect_openlineage": set(),
    "devtools": INSTALLED,
    "examples": INSTALLED | {"devtools"},
    "benchmarks": INSTALLED | {"devtools", "examples"},
    "unit_tests": INSTALLED | {"devtools", "examples", "benchmarks"},
    "integration_tests": INSTALLED | {"devtools", "examples", "benchmarks"},
}


def imported(file: Path) -> set[str]:
    """The modules, by their whole names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_import_points_back(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    others = MAY_IMPORT.keys() - MAY_IMPORT[package] - {package}
    packages = {file: {name.partition(".")[0] for name in imported(file)} for file in files}
    assert not {str(file.relative_to(ROOT)): found for file in files if (found := packages[file] & others)}


@pytest.mark.parametrize("package", ["unit_tests", "integration_tests"])
def test_no_test_imports_from_another(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert not {
        str(file.relative_to(ROOT)): found
        for file in files
        if (found := {name for name in imported(file) if re.search(r"\.test_\w+$", name)})
    }
