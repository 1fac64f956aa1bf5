"""Prefect servers of other versions, each in an environment of its own under `.venvs/`, made by
uv.

`python -m devtools.matrix.versions [VERSION ...]` runs the version tests against each of them, and
prints what came of it.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from devtools.matrix.pythons import ROOT, make_environment

# What uv may choose from: 3.9 needs Python 3.11, and what 3.0.11 is pinned to has no wheels beyond
# 3.12.
PYTHON = ">=3.11,<3.13"

# Tells the tests which version to start; without it, that of the development environment.
VARIABLE = "TEST_PREFECT_VERSION"

TESTS = ("integration_tests/versions", "integration_tests/test_incremental.py")
# For servers that know Basic authentication.
TESTS_SINCE_3_1 = ("integration_tests/test_connections.py", "integration_tests/test_tls.py")


class Pins(NamedTuple):
    """What a Prefect needs beside it to start: today's newest FastAPI breaks most versions."""

    requirements: tuple[str, ...]
    # Forced over Prefect's own requirements.
    overrides: tuple[str, ...] = ()


PINS = {
    "3.0.11": Pins(("fastapi==0.136.3", "pydantic==2.10.6")),
    "3.4.25": Pins(("fastapi==0.136.3", "importlib_metadata==10.2.0")),
    # The last but one without the filter of task runs by end_time: 3.6.22 has it.
    "3.6.21": Pins(("fastapi==0.136.3",)),
    "3.6.29": Pins(("fastapi==0.136.3",)),
    "3.8.8": Pins(("fastapi==0.154.0",)),
    "3.9.1": Pins((), overrides=("certifi==2026.10.18",)),
}


def python(version: str) -> Path:
    """The interpreter of this version's environment, which is made if it is missing."""
    folder = ROOT / ".venvs" / f"prefect-{version}"
    interpreter = folder / "bin" / "python"
    done = folder / ".made"
    if not done.exists():
        pins = PINS[version]
        # Not in the folder, which is made again.
        overrides = folder.with_name(f"{folder.name}-overrides.txt")
        overrides.parent.mkdir(exist_ok=True)
        overrides.write_text("\n".join(pins.overrides))
        make_environment(folder, PYTHON, "--overrides", str(overrides), f"prefect=={version}", *pins.requirements)
        done.touch()
    return interpreter


def chosen_python() -> Path:
    """The interpreter whose Prefect the tests are to start."""
    version = os.environ.get(VARIABLE)
    return python(version) if version else Path(sys.executable)


def tests(version: str) -> Sequence[str]:
    """What is to be run against this version."""
    return TESTS if version.startswith("3.0.") else (*TESTS, *TESTS_SINCE_3_1)


def main(versions: Sequence[str]) -> int:
    outcomes: dict[str, int] = {}
    for version in versions or PINS:
        interpreter = python(version)
        found = subprocess.run([interpreter, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        print(f"--- Prefect {version} on {found}", flush=True)
        outcomes[version] = subprocess.run(
            [sys.executable, "-m", "pytest", *tests(version)],
            cwd=ROOT,
            env={**os.environ, VARIABLE: version},
            check=False,
        ).returncode
    for version, code in outcomes.items():
        print(f"Prefect {version:8} {'failed' if code else 'passed'}")
    return max(outcomes.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
