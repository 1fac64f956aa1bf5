"""What Airbyte's image build leaves, without Docker, and what docker/Dockerfile is given.

The installation is one that the user who runs it may not write to.
"""

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from devtools.matrix.pythons import ROOT, UV
from devtools.release import image

# Permissions do not bind root; without its capabilities they do.
WITHOUT_RIGHTS = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all") if os.geteuid() == 0 else ()


def run(installation: Path, cwd: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    """The messages of `source-prefect`, run by a user who cannot write to the installation."""
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


def test_make_image_says_which_tools_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="There is no buildah and no crun: install Debian's packages"):
        image.main([])


DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()


def copied() -> list[str]:
    """What the Dockerfile takes from its context."""
    lines: list[str] = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_the_dockerfile_is_let_see_what_it_copies() -> None:
    rules = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert rules[1] == "*"
    assert [rule[1:] for rule in rules if rule.startswith("!")] == copied()


def test_the_dockerfile_copies_what_the_wheel_is_made_of(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    for source in copied():
        path = ROOT / source
        if path.is_dir():
            shutil.copytree(path, context / source)
        else:
            shutil.copy(path, context)
    for sources, folder in ((context, "from-context"), (ROOT, "from-checkout")):
        subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", tmp_path / folder, sources], check=True)
    (lean,), (full,) = ((tmp_path / folder).glob("*.whl") for folder in ("from-context", "from-checkout"))
    assert contents(lean) == contents(full)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if "__pycache__" not in name}
