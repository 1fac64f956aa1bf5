"""The tree for Airbyte's monorepo holds the same connector; whether Airbyte likes it, test_airbyte_checks.py asks."""

import ast
import re
from pathlib import Path

import pytest
import tomlkit
import yaml
from packaging.requirements import Requirement

from devtools.airbyte_variant import CONNECTOR, GUIDE, guide_page, mark_http, poetry_project, write
from devtools.pythons import ROOT


@pytest.fixture(scope="module")
def monorepo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("airbyte")
    write(folder)
    return folder


def test_the_code_is_the_same(monorepo: Path) -> None:
    ours, theirs = ROOT / "source_prefect", monorepo / CONNECTOR / "source_prefect"
    modules = {path.relative_to(ours) for path in ours.rglob("*.py")}
    assert {path.relative_to(theirs) for path in theirs.rglob("*.py")} == modules
    for module in modules:
        assert ast.dump(ast.parse((theirs / module).read_text())) == ast.dump(ast.parse((ours / module).read_text()))


def test_the_manifest_moves_into_the_package_and_names_the_page_of_the_catalog(monorepo: Path) -> None:
    (path,) = (monorepo / CONNECTOR).rglob("manifest.yaml")
    assert path.parent.name == "source_prefect"
    ours, theirs = (yaml.safe_load(file.read_text()) for file in (ROOT / "manifest.yaml", path))
    page = theirs["spec"].pop("documentation_url")
    assert page == f"https://docs.airbyte.com/{GUIDE.relative_to('docs').with_suffix('')}"
    assert page != ours["spec"].pop("documentation_url")
    assert theirs == ours
    metadata = yaml.safe_load((monorepo / CONNECTOR / "metadata.yaml").read_text())["data"]
    assert metadata["documentationUrl"] == page
    assert metadata["connectorTestSuitesOptions"] == [{"suite": "unitTests"}]


def test_poetry_is_told_what_everyone_else_is(monorepo: Path) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    ours, theirs = tomlkit.parse(text).unwrap(), tomlkit.parse(poetry_project(text)).unwrap()
    project, poetry = ours["project"], theirs["tool"]["poetry"]
    assert (poetry["name"], poetry["version"]) == (project["name"], project["version"])
    ranges = {name: Requirement(f"{name}{specifier}") for name, specifier in poetry["dependencies"].items()}
    assert ranges.pop("python").specifier == Requirement(f"python{project['requires-python']}").specifier
    assert list(ranges.values()) == [Requirement(requirement) for requirement in project["dependencies"]]
    assert set(poetry["group"]["dev"]["dependencies"]) == {"hypothesis", "pytest", "requests-mock"}
    assert (monorepo / CONNECTOR / "pyproject.toml").read_text() == poetry_project(text)


def test_the_unit_tests_need_nothing_that_stays_here(monorepo: Path) -> None:
    here = {path.name for path in ROOT.glob("[a-z]*") if path.is_dir()} - {"source_prefect", "unit_tests"}
    needs = re.compile(rf"^\s*(from|import) ({'|'.join(here)})\b|__file__", re.MULTILINE)
    tests = {path.name: path.read_text() for path in (monorepo / CONNECTOR / "unit_tests").glob("test_*.py")}
    assert tests
    assert [name for name, text in tests.items() if needs.search(text)] == []


def test_the_page_links_to_other_sites_only(monorepo: Path) -> None:
    page = (monorepo / GUIDE).read_text()
    targets = re.findall(r"\]\(([^)]+)\)", page)
    assert targets
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert page.startswith("# Prefect\n")


def test_a_guide_whose_signposts_have_changed_is_noticed() -> None:
    with pytest.raises(ValueError, match="Connecting"):
        guide_page("# Prefect\n\nSee [Connecting to every Prefect](connections.md).\n")


def test_lines_with_a_plain_address_are_marked_where_that_changes_nothing() -> None:
    def mark(text: str) -> str:
        return mark_http(text, lambda code: ast.dump(ast.parse(code)))

    assert mark('A = "http://h"\nB = 1\n') == 'A = "http://h"  # ignore-https-check\nB = 1\n'
    assert mark('A = "http://localhost:4200"\n') == 'A = "http://localhost:4200"\n'
    with pytest.raises(ValueError, match="several lines"):
        mark('"""Such as\nhttp://h\n"""\n')
