"""Imports point one way: from tests to tools to the packages that are installed."""

import ast
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
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_no_import_points_back(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    others = MAY_IMPORT.keys() - MAY_IMPORT[package] - {package}
    assert not {str(file.relative_to(ROOT)): found for file in files if (found := imported(file) & others)}
