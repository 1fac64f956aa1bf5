"""What a stream still lacks, without a server: it must be declared, documented and modelled."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from source_prefect import manifest

ROOT = Path(__file__).parents[1]
STAGING = ROOT / "dbt" / "models" / "staging"
STREAMS = manifest.stream_names(manifest.load())


def described(file: str) -> dict[str, Any]:
    """The models, or the tables of the sources, by name."""
    written = yaml.safe_load((STAGING / file).read_text())
    entries = written["sources"][0]["tables"] if "sources" in written else written["models"]
    return {entry["name"]: entry for entry in entries}


@pytest.mark.parametrize("stream", STREAMS)
def test_its_page_has_all_sections(stream: str) -> None:
    page = (ROOT / "docs" / "streams" / f"{stream}.md").read_text()
    sections = set(re.findall(r"^## (.+)$", page, re.MULTILINE))
    assert {"Time zone, key and joins", "Columns"} <= sections
    assert sections & {"A useful query", "Useful queries"}
    assert sections & {"How it is read", "Full refresh only"}
    assert "```sql" in page


@pytest.mark.parametrize("stream", STREAMS)
def test_it_has_a_staging_model(stream: str) -> None:
    assert (STAGING / f"stg_prefect__{stream}.sql").exists()
    assert described("_sources.yml")[stream]["description"]
    assert described("_staging.yml")[f"stg_prefect__{stream}"]["description"]
