"""The checks of Airbyte's CI, on the tree of `make airbyte-variant` (`make test-airbyte`)."""

from pathlib import Path

import pytest

from devtools.release.airbyte_checks import Result, run_checks
from devtools.release.airbyte_variant import write

pytestmark = pytest.mark.airbyte_checks


def with_status(results: dict[str, Result], status: str) -> dict[str, str]:
    return {name: result.message for name, result in results.items() if result.status == status}


def test_every_check_passes_but_those_that_need_the_network(tmp_path: Path) -> None:
    write(tmp_path)
    results = run_checks(tmp_path)
    for name, result in sorted(results.items()):
        print(f"{result.status:8} {name}: {result.message}")
    assert with_status(results, "FAILED") == {}
    assert set(with_status(results, "NETWORK")) == {
        "CheckDocumentationLinks",
        "CheckVersionIncrement",
        "ValidateMetadata",
    }
    assert all("does not apply" in reason for reason in with_status(results, "SKIPPED").values())
    assert len(with_status(results, "PASSED")) > 10


def test_the_checks_find_what_is_wrong(tmp_path: Path) -> None:
    connector = write(tmp_path)
    metadata = connector / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("source-declarative-manifest", "python-connector-base"))
    (connector / "README.md").write_text("See http://prefect.example.com\n")
    assert {"CheckManifestOnlyConnectorBaseImage", "CheckConnectorUsesHTTPSOnly"} <= set(
        with_status(run_checks(tmp_path), "FAILED")
    )
