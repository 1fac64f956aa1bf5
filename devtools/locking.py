"""Poetry's lock of a project, made by the Poetry that Airbyte's image build uses, in an environment of its own."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from devtools.pythons import ROOT
from devtools.tools import tool

# The one in Airbyte's base image.
POETRY = "poetry==1.8.5"
SCRIPT = Path(__file__).with_name("poetry_lock.py")


def lock(project: Path) -> None:
    """Write the `poetry.lock` of a `pyproject.toml`. It takes a minute, and is kept while that is unchanged."""
    wanted = hashlib.sha256((project / "pyproject.toml").read_bytes()).hexdigest()
    kept = ROOT / ".venvs" / f"poetry-{wanted[:16]}.lock"
    if not kept.exists():
        # Isolated: the modules in this folder are not to stand in for others of the same name.
        subprocess.run([tool(POETRY) / "python", "-I", SCRIPT, project], check=True)
        # Which index the packages came from is a matter of this machine.
        anonymous = re.sub(r"\n\[package\.source\]\n(?:\w+ = .*\n)+", "", (project / "poetry.lock").read_text())
        kept.write_text(anonymous)
    shutil.copy(kept, project / "poetry.lock")
