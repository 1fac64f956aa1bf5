"""Airbyte's own checks of a connector in its monorepo, in an environment of their own under `.venvs/`."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from devtools.pythons import ROOT, make_environment

OPS = "0.111.0"
PYTHON = ">=3.11,<3.13"
SCRIPT = Path(__file__).with_name("airbyte_checks_run.py")


class Result(NamedTuple):
    # PASSED, FAILED or SKIPPED; NETWORK for what can only be asked of Airbyte's servers.
    status: str
    message: str


def run_checks(monorepo: Path) -> dict[str, Result]:
    """The result of each of Airbyte's checks of the connector in this tree, by the check's name."""
    done = subprocess.run(
        [_python(), "-I", "-W", "ignore", SCRIPT], cwd=monorepo, stdout=subprocess.PIPE, text=True, check=True
    )
    # The checks print as well, before.
    results: dict[str, tuple[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return {name: Result(*result) for name, result in results.items()}


def _python() -> Path:
    folder = ROOT / ".venvs" / f"airbyte-internal-ops-{OPS}"
    done = folder / ".made"
    if not done.exists():
        make_environment(folder, PYTHON, f"airbyte-internal-ops=={OPS}")
        done.touch()
    return folder / "bin" / "python"
