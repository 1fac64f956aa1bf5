"""`make test-pythons`: unit tests, spec and check on each supported Python of this machine."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from devtools.servers.prefect import prefect_server

ROOT = Path(__file__).resolve().parents[2]
SUPPORTED = ("3.11", "3.12", "3.13")
UV = Path(sys.executable).parent / "uv"


def find_python(version: str) -> Path | None:
    """An interpreter of this version, on the PATH or in pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{version}")
    for candidate in [*([Path(on_path)] if on_path else []), *sorted(pyenv.glob(f"{version}.*/bin/python"))]:
        # A shim of pyenv may be there for a version that is not switched on: ask it.
        said = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        if said[:1] == [version]:
            return Path(said[1])
    return None


def make_environment(folder: Path, python: str | Path, *what: str) -> Path:
    """A fresh environment in `folder`, by these `uv pip install` arguments; its bin folder."""
    subprocess.run([UV, "venv", "--quiet", "--clear", "--python", python, folder], check=True)
    install: list[str | Path] = [UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    subprocess.run([*install, *what], check=True, cwd=ROOT)
    return folder / "bin"


def install_connector(folder: Path, python: str | Path, *what: str) -> Path:
    """The connector's program in a fresh environment, run once so that Python keeps bytecode."""
    program = make_environment(folder, python, *what) / "source-prefect"
    subprocess.run([program, "spec"], check=True, stdout=subprocess.DEVNULL)
    return program


def try_out(python: Path, version: str, config: Path) -> None:
    """Unit tests, spec and check. Raises CalledProcessError."""
    arguments = ["--constraints", "constraints.txt", "--editable", ".", "--group", "unit"]
    programs = make_environment(ROOT / ".venvs" / version, python, *arguments)
    subprocess.run([programs / "python", "-m", "pytest", "unit_tests"], check=True, cwd=ROOT)
    subprocess.run([programs / "source-prefect", "spec"], check=True, stdout=subprocess.DEVNULL)
    check = subprocess.run(
        [programs / "source-prefect", "check", "--config", config], check=True, capture_output=True, text=True
    )
    assert '"SUCCEEDED"' in check.stdout, check.stdout


def main() -> int:
    found = {version: find_python(version) for version in SUPPORTED}
    for version, python in found.items():
        print(f"Python {version}: {python or 'not found'}", flush=True)
    failed = []
    with prefect_server() as server:
        config = server.home / "config.json"
        config.write_text(json.dumps({"connection": {"type": "server", "api_url": server.url}}))
        for version, python in found.items():
            if python:
                began = time.monotonic()
                try:
                    try_out(python, version, config)
                except (subprocess.CalledProcessError, AssertionError) as error:
                    failed.append(version)
                    print(f"Python {version}: FAILED: {error}", flush=True)
                else:
                    print(f"Python {version}: ok in {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed or not any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
