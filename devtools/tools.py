"""Programs that cannot share our environment: each has its own under `.venvs/`, which is kept."""

from pathlib import Path

from devtools.matrix.pythons import ROOT, make_environment

# What uv may choose from: Airbyte's checks run on no other.
PYTHON = ">=3.11,<3.13"


def tool(requirement: str) -> Path:
    """The bin folder of the environment for a requirement like `uv==0.9.2`; made if missing."""
    folder = ROOT / ".venvs" / requirement.replace("==", "-")
    done = folder / ".made"
    if not done.exists():
        make_environment(folder, PYTHON, requirement)
        done.touch()
    return folder / "bin"
