"""This project in the layout of Airbyte's monorepo: `make airbyte-variant` writes it to `build/airbyte/`.

A `manifest.yaml` in the root of a connector's folder means, over there, that the connector has no Python of its own. So
the manifest moves into the package. Dependencies are Poetry's, with a lock; the guide is a page of Airbyte's
documentation, where links to the rest of ours would lead nowhere; and a line with a plain http address says so.
"""

import ast
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomlkit
import yaml
from packaging.requirements import Requirement

from devtools.locking import lock
from devtools.pythons import ROOT

FOLDER = ROOT / "build" / "airbyte"
# As Airbyte names them.
CONNECTOR = Path("airbyte-integrations/connectors/source-prefect")
GUIDE = Path("docs/integrations/sources/prefect.md")
GUIDE_URL = "https://docs.airbyte.com/integrations/sources/prefect"

# They test what stays here, or with it: documents, the registry card of this tree, examples, models, tools.
TESTS_OF_THIS_TREE = (
    *("test_docs.py", "test_metadata.py", "test_dialects.py"),
    *("test_command_line_examples.py", "test_openlineage_names.py", "test_report_layout.py", "test_report_formats.py"),
    *("test_cdk_contracts.py", "test_cloud_stand_in.py", "test_settings.py"),
)
# What the other unit tests need.
TEST_TOOLS = ("hypothesis", "pytest", "requests-mock")

# Sentences of the guide that do nothing but point to another page of this project.
SIGNPOSTS = (
    "Each of these, and all forms of an address, with examples: [Connecting to every Prefect](connections.md).\n\n",
    "The page of each stream has its columns, what moves its cursor, what a sync of it costs, "
    "and queries to begin with.\n\n",
    "- What else may surprise readers of the tables: [behavior](behavior.md).\n",
    " Figures for both, for **Parallel requests**\n"
    "(`num_workers`) and for ten million runs are in [What a sync costs](performance.md).",
)

IGNORE_HTTP = "  # ignore-https-check"
# Airbyte's check lets these pass.
HARMLESS_HTTP = ("http://json-schema.org", "http://localhost")

README = """\
# Prefect source connector

This directory contains the source connector for [Prefect](https://www.prefect.io). For what it reads and how to set it
up, see [its documentation]({guide}).

## Local development

```bash
poetry install --with dev
poetry run source-prefect spec
poetry run pytest unit_tests
```

`source_prefect/manifest.yaml` declares the streams, and names the Python classes that do what YAML cannot express.
"""


def write(folder: Path) -> Path:
    """Write the tree, all but Poetry's lock. Returns the connector's folder in it."""
    shutil.rmtree(folder, ignore_errors=True)
    connector = folder / CONNECTOR
    package = connector / "source_prefect"
    shutil.copytree(ROOT / "source_prefect", package, ignore=shutil.ignore_patterns("__pycache__"))
    for path in package.rglob("*.py"):
        path.write_text(mark_http(path.read_text(), lambda text: ast.dump(ast.parse(text))))
    manifest = _replaced(
        (ROOT / "manifest.yaml").read_text(), r"documentation_url: .+", f"documentation_url: {GUIDE_URL}"
    )
    (package / "manifest.yaml").write_text(mark_http(manifest, yaml.safe_load))
    (connector / "metadata.yaml").write_text(_metadata((ROOT / "metadata.yaml").read_text()))
    (connector / "pyproject.toml").write_text(poetry_project((ROOT / "pyproject.toml").read_text()))
    (connector / "README.md").write_text(README.format(guide=GUIDE_URL))
    shutil.copy(ROOT / "icon.svg", connector)
    shutil.copytree(
        ROOT / "unit_tests",
        connector / "unit_tests",
        ignore=shutil.ignore_patterns("__pycache__", *TESTS_OF_THIS_TREE),
    )
    (folder / GUIDE).parent.mkdir(parents=True)
    (folder / GUIDE).write_text(guide_page((ROOT / "docs" / "prefect.md").read_text()))
    return connector


def guide_page(text: str) -> str:
    """The guide as a page of another site: without signposts, and with text in place of links to our other pages."""
    for signpost in SIGNPOSTS:
        text = _replaced(text, re.escape(signpost), "")
    return re.sub(r"\[([^\]]+)\]\((?!https?://|#)[^)]*\)", r"\1", text)


def mark_http(text: str, parse: Callable[[str], Any]) -> str:
    """Mark each line with a plain http address as intended. `parse` shows whether its meaning is unchanged."""
    marked = "".join(
        line.rstrip("\n") + IGNORE_HTTP + "\n" if _has_http(line) else line for line in text.splitlines(keepends=True)
    )
    if parse(marked) != parse(text):
        raise ValueError(
            "An address with http:// stands within a text of several lines, where no comment can follow it."
        )
    return marked


def poetry_project(text: str) -> str:
    """Our pyproject.toml as Poetry 1.8 knows it."""
    ours: Mapping[str, Any] = tomlkit.parse(text).unwrap()
    project = ours["project"]
    tools = [entry for entry in ours["dependency-groups"]["unit"] if Requirement(entry).name in TEST_TOOLS]
    return tomlkit.dumps(
        {
            "build-system": {"requires": ["poetry-core>=1.0.0"], "build-backend": "poetry.core.masonry.api"},
            "tool": {
                "poetry": {
                    "name": project["name"],
                    "version": project["version"],
                    "description": project["description"],
                    "authors": ["Airbyte <contact@airbyte.io>"],
                    "license": project["license"],
                    "readme": "README.md",
                    "documentation": GUIDE_URL,
                    "homepage": "https://airbyte.com",
                    "repository": "https://github.com/airbytehq/airbyte",
                    "packages": [{"include": "source_prefect"}],
                    "dependencies": {"python": project["requires-python"], **_poetry_ranges(project["dependencies"])},
                    "scripts": project["scripts"],
                    "group": {"dev": {"dependencies": _poetry_ranges(tools)}},
                }
            },
        }
    )


def _poetry_ranges(requirements: list[str]) -> dict[str, str]:
    parsed = [Requirement(requirement) for requirement in requirements]
    return {requirement.name: str(requirement.specifier) for requirement in parsed}


def _metadata(text: str) -> str:
    text = _replaced(text, r" *#.+\n( *documentationUrl:) .+", rf"\1 {GUIDE_URL}")
    # The integration tests start Prefect servers, which Airbyte's CI does not know how to.
    return _replaced(text, r" *- suite: integrationTests\n", "")


def _has_http(line: str) -> bool:
    for harmless in HARMLESS_HTTP:
        line = line.replace(harmless, "")
    return "http://" in line


def _replaced(text: str, pattern: str, by: str) -> str:
    """`text` with the only match of `pattern` replaced."""
    replaced, count = re.subn(pattern, by, text)
    if count != 1:
        raise ValueError(f"{pattern!r} was expected once, and was found {count} times.")
    return replaced


def main() -> None:
    connector = write(FOLDER)
    lock(connector)
    print(f"The connector is in {connector.relative_to(ROOT)}, its page is {(FOLDER / GUIDE).relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
