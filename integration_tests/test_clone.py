"""Airbyte's tool in a plain clone of the project, in a folder with Airbyte's kind of name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from devtools.data.seeding import add_worker_and_block
from devtools.matrix.pythons import ROOT
from devtools.servers.prefect import PrefectServer
from integration_tests.connecting import ACCEPTANCE, point_at

PROGRAMS = Path(sys.executable).parent


def clone(folder: Path) -> None:
    """Copy what git knows of, with what was changed since the last commit."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def test_airbyte_cdk_connector_test_passes(filled_server: PrefectServer, tmp_path: Path) -> None:
    add_worker_and_block(filled_server)
    folder = tmp_path / "source-prefect"
    clone(folder)
    point_at(filled_server, folder / ACCEPTANCE.relative_to(ROOT))
    done = subprocess.run(
        [PROGRAMS / "airbyte-cdk", "connector", "test", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        # The sources of the clone, not those that are installed.
        env=os.environ | {"PYTHONPATH": str(folder), "DO_NOT_TRACK": "1"},
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
    assert " failed" not in done.stdout
