"""Airbyte's checks of a connector in its monorepo, in an environment of their own (`.venvs/`)."""

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from devtools.tools import tool

OPS = "airbyte-internal-ops==0.111.0"
SCRIPT = Path(__file__).with_name("airbyte_checks_run.py")


class Result(NamedTuple):
    # PASSED, FAILED or SKIPPED; NETWORK for what can only be asked of Airbyte's servers.
    status: str
    message: str


def run_checks(monorepo: Path) -> dict[str, Result]:
    """The results of Airbyte's checks of the connector in this tree, by the check's name."""
    done = subprocess.run(
        [tool(OPS) / "python", "-I", "-W", "ignore", SCRIPT],
        cwd=monorepo,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    # The checks print as well, before.
    results: dict[str, tuple[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return {name: Result(*result) for name, result in results.items()}
