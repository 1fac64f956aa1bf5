"""The documentation is complete and up to date: every stream, column and setting, both ways."""

import ast
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.release.builder import MANIFEST
from source_prefect import SourcePrefect, manifest

ROOT = Path(__file__).parents[1]
STREAM_PAGES = ROOT / "docs" / "streams"
# At the top in capitals: `make bench` writes benchmark.md there.
DOCUMENTS = sorted(
    [*ROOT.glob("[A-Z]*.md"), *(path for name in ("docs", "builder", "dbt") for path in (ROOT / name).rglob("*.md"))]
)
CONFIG = {"connection": {"type": "server", "api_url": "http://localhost:4200/api"}}

# The sections that Airbyte asks of a source's documentation, in its order.
AIRBYTES_SECTIONS = [
    "Prerequisites",
    "Setup guide",
    "Supported sync modes",
    "Supported Streams",
    "IP allow list",
    "Performance considerations",
    "Data type map",
    "Limitations & Troubleshooting",
    "Changelog",
]


def _schemas() -> dict[str, dict[str, Any]]:
    catalog = SourcePrefect().discover(logging.getLogger("airbyte"), CONFIG)
    return {stream.name: stream.json_schema["properties"] for stream in catalog.streams}


SCHEMAS = _schemas()
# The guides: of the package, and of the edition in pure YAML.
GUIDE, PAGE = ((ROOT / path).read_text() for path in ("docs/prefect.md", "builder/prefect.md"))
EDITION = yaml.safe_load(MANIFEST.read_text())
SPEC, SPEC_OF_EDITION = (part["spec"]["connection_specification"] for part in (manifest.load(), EDITION))


def test_the_page_for_airbytes_catalog_has_its_sections_in_its_order() -> None:
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == AIRBYTES_SECTIONS


def test_the_page_for_airbytes_catalog_links_to_other_sites_only() -> None:
    assert [link for link in re.findall(r"\]\(([^)]+)\)", PAGE) if not link.startswith("https://")] == []


def test_the_page_for_airbytes_catalog_lists_every_stream_of_its_edition() -> None:
    assert re.findall(r"^\| (\w+) \|.*\| `\w+`", PAGE, re.MULTILINE) == list(EDITION["definitions"]["schemas"])


def test_every_stream_has_a_page_and_every_page_a_stream() -> None:
    assert {page.stem for page in STREAM_PAGES.glob("*.md")} == set(SCHEMAS)


@pytest.mark.parametrize("document", ["docs/prefect.md", "README.md"])
def test_every_stream_is_listed_with_a_link_to_its_page(document: str) -> None:
    listed = re.findall(
        r"^\| \[`?(\w+)`?\]\((?:docs/)?streams/(\w+)\.md\)", (ROOT / document).read_text(), re.MULTILINE
    )
    assert sorted(listed) == sorted((stream, stream) for stream in SCHEMAS)


@pytest.mark.parametrize("stream", sorted(SCHEMAS))
def test_every_column_is_documented_and_nothing_else(stream: str) -> None:
    rows = _column_rows((STREAM_PAGES / f"{stream}.md").read_text())
    documented = [name for names, _ in rows for name in names]
    assert sorted(documented) == sorted(SCHEMAS[stream])


@pytest.mark.parametrize("stream", sorted(SCHEMAS))
def test_documented_types_are_those_of_the_schema(stream: str) -> None:
    for names, kind in _column_rows((STREAM_PAGES / f"{stream}.md").read_text()):
        for name in names if kind else ():
            # The schema does not show what the text of a column holds.
            assert (name, kind) in {
                (name, _type(SCHEMAS[stream][name])),
                (name, f"JSON {_type(SCHEMAS[stream][name])}"),
            }


@pytest.mark.parametrize(("guide", "spec"), [(GUIDE, SPEC), (PAGE, SPEC_OF_EDITION)], ids=["package", "edition"])
def test_every_setting_is_documented_under_its_title_and_nothing_else(guide: str, spec: dict[str, Any]) -> None:
    assert dict(_documented_settings(guide)) == dict(_spec_settings(spec))


def test_every_error_under_troubleshooting_is_one_of_ours() -> None:
    table = GUIDE.split("| the error says | what to do |\n", 1)[1].split("\n\n", 1)[0]
    documented = [text for line in table.splitlines()[1:] for text in re.findall(r"`(.+?)`", line.split("|")[1])]
    assert documented
    messages = list(_messages())
    assert [text for text in documented if not any(text in message for message in messages)] == []


@pytest.mark.parametrize("document", [str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_links_between_the_documents_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", path.read_text()):
        if not target.startswith("/"):
            assert (path.parent / target).exists(), f"{document} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_lines_of_prose_are_under_100_characters(document: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    # A row of a table cannot be broken, nor can a link alone.
    lines = [line for line in prose.splitlines() if not line.startswith("|") and " " in line.strip("- ")]
    assert [line for line in lines if len(line.rstrip()) > 99] == []


def _column_rows(page: str) -> Iterator[tuple[list[str], str | None]]:
    """The names in a row of the table under `## Columns`, and their type if the table has it."""
    section = page.split("\n## Columns\n", 1)[1].split("\n## ", 1)[0]
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
    assert table, "no table of columns"
    header = table[0]
    for row in table[2:]:
        yield re.findall(r"`(\w+)`", row[0]), row[1] if header[1] == "type" else None


def _type(schema: Mapping[str, Any]) -> str:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = next(kind for kind in kinds if kind != "null")
    return "timestamp" if schema.get("format") == "date-time" else {"string": "text"}.get(kind, kind)


def _messages() -> Iterator[str]:
    """The texts in the code, with … for each value that goes into them."""
    for path in (ROOT / "source_prefect").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


Settings = Iterator[tuple[str, dict[str, str]]]


def _spec_settings(spec: Mapping[str, Any]) -> Settings:
    """The settings by the field that an anchor leads from: their titles by name."""
    for name, schema in spec["properties"].items():
        if "oneOf" in schema:
            for option in schema["oneOf"]:
                properties = option["properties"]
                yield f"{name}[{properties['type']['const']}]", dict(_titles(properties))
        else:
            yield name, dict(_titles({name: schema}))


def _titles(properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, schema in properties.items():
        if "const" in schema or schema.get("airbyte_hidden"):
            continue
        yield name, schema["title"]
        for part in (schema, schema.get("items", {}), *schema.get("oneOf", ())):
            yield from _titles(part.get("properties", {}))


def _documented_settings(guide: str) -> Settings:
    """The same from a guide: bullets like `- **Start date** (`start_date`)` in a `FieldAnchor`."""
    for field, text in re.findall(r'<FieldAnchor field="(.+?)">\n\n(.+?)\n\n</FieldAnchor>', guide, re.DOTALL):
        yield field, {name: title for title, name in re.findall(r"^ *- \*\*(.+?)\*\* \(`(\w+)`", text, re.MULTILINE)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_no_query_compares_a_time_without_zone_with_now(document: Path) -> None:
    assert re.findall(r"[<>]=?\s*now\(\)", document.read_text()) == []
