"""What Airbyte's image build leaves, without Docker: an installation that the user who runs it may not write to."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from devtools.pythons import ROOT

# Permissions do not bind root; without its capabilities they do.
WITHOUT_RIGHTS = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all") if os.geteuid() == 0 else ()


def run(installation: Path, cwd: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    """The messages of `source-prefect`, run by somebody who cannot write to the installation."""
    done = subprocess.run(
        [*WITHOUT_RIGHTS, installation / "bin" / "source-prefect", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return [message for message in messages if message["type"] != "LOG"]


def files(installation: Path) -> set[Path]:
    return set(installation.rglob("*"))


def test_nothing_can_be_written_to_the_image(installation: Path) -> None:
    touched = subprocess.run([*WITHOUT_RIGHTS, "touch", installation / "new"], capture_output=True, check=False)
    assert b"Permission denied" in touched.stderr


def test_the_image_knows_its_spec(installation: Path, tmp_path: Path) -> None:
    before = files(installation)
    (message,) = run(installation, tmp_path, "spec")
    assert message["spec"]["connectionSpecification"]["required"] == ["connection"]
    assert files(installation) == before


def test_the_image_checks_a_connection(installation: Path, config: dict[str, Any], tmp_path: Path) -> None:
    # A manifest that lies in the working directory is none of its business.
    (tmp_path / "manifest.yaml").write_text("not: a manifest")
    (tmp_path / "config.json").write_text(json.dumps(config))
    before = files(installation)
    (message,) = run(installation, tmp_path, "check", "--config", tmp_path / "config.json")
    assert message["connectionStatus"] == {"status": "SUCCEEDED"}
    assert files(installation) == before


def test_the_image_brings_no_more_than_the_connector(installation: Path) -> None:
    (package,) = installation.glob("lib/python*/site-packages/source_prefect")
    assert (package / "manifest.yaml").read_bytes() == (ROOT / "manifest.yaml").read_bytes()
    beside = {path.name for path in package.parent.iterdir()}
    assert not beside & {"unit_tests", "integration_tests", "devtools", "examples", "benchmarks"}
