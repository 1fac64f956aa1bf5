"""The checks that Airbyte's CI runs on every connector, on the tree of `make airbyte-variant` (`make test-airbyte`)."""

import subprocess
import sys
from pathlib import Path

import pytest

from devtools.airbyte_checks import Result, run_checks
from devtools.airbyte_variant import CONNECTOR, write
from devtools.locking import lock
from devtools.pythons import ROOT

pytestmark = pytest.mark.airbyte_checks


@pytest.fixture
def monorepo(tmp_path: Path) -> Path:
    lock(write(tmp_path))
    return tmp_path


def with_status(results: dict[str, Result], status: str) -> dict[str, str]:
    return {name: result.message for name, result in results.items() if result.status == status}


def test_every_check_passes_but_those_that_need_the_network(monorepo: Path) -> None:
    results = run_checks(monorepo)
    for name, result in sorted(results.items()):
        print(f"{result.status:8} {name}: {result.message}")
    assert with_status(results, "FAILED") == {}
    assert set(with_status(results, "NETWORK")) == {
        "CheckDocumentationLinks",
        "CheckVersionIncrement",
        "ValidateMetadata",
    }
    assert with_status(results, "SKIPPED") == {
        "CheckConnectorMaxSecondsBetweenMessagesValue": "Check does not apply to community connectors",
        "CheckManifestOnlyConnectorBaseImage": "Check does not apply to low-code connectors",
    }
    assert len(with_status(results, "PASSED")) > 20


def test_the_checks_see_what_the_variant_mends(monorepo: Path) -> None:
    connector = monorepo / CONNECTOR
    (connector / "source_prefect" / "manifest.yaml").rename(connector / "manifest.yaml")
    (connector / "source_prefect" / "address.py").write_text('EXAMPLE = "http://prefect.example.com"\n')
    assert set(with_status(run_checks(monorepo), "FAILED")) == {
        "CheckConnectorLanguageTag",
        "CheckConnectorUsesHTTPSOnly",
        "CheckManifestOnlyConnectorBaseImage",
    }


def test_the_unit_tests_pass_over_there(monorepo: Path) -> None:
    # Our environment lets everything of this tree be imported.
    code = f"import sys; sys.path.remove({str(ROOT)!r}); import pytest; sys.exit(pytest.main(['unit_tests']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=monorepo / CONNECTOR, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
