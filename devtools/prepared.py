"""Processes whose imports are done when they start: forks of one that has imported a module.

Imports are nine tenths of a start of the connector, and tests start it often. All else is that of any process: what it
prints, its exit code, its memory, how it ends when it is killed.
"""

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple


class Process:
    """A running fork. `stdout` is what it prints, as it comes."""

    def __init__(self, pid: int, stdout: IO[bytes], replies: IO[str]) -> None:
        self.pid = pid
        self.stdout = stdout
        self._replies = replies
        self._exit_code: int | None = None

    def wait(self) -> int:
        """The exit code; negative where a signal ended it, as in `subprocess`."""
        if self._exit_code is None:
            self._exit_code = int(self._replies.readline())
        return self._exit_code

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Done(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


class Prepared:
    """Starts forks of a process that has imported `module`, one at a time; it ends with the process that made it."""

    def __init__(self, module: str) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", __name__, module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @contextmanager
    def start(
        self,
        module: str,
        arguments: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stderr: Path,
    ) -> Iterator[Process]:
        """Run `python -m module` with these arguments."""
        requests, replies = self._parent.stdin, self._parent.stdout
        assert requests
        assert replies
        with tempfile.TemporaryDirectory() as folder:
            stdout = Path(folder) / "stdout"
            os.mkfifo(stdout)
            request = {
                "module": module,
                "arguments": [str(argument) for argument in arguments],
                "env": dict(env),
                "cwd": str(cwd or Path.cwd()),
                "files": [os.devnull, str(stdout), str(stderr)],
            }
            requests.write(f"{json.dumps(request)}\n")
            requests.flush()
            with stdout.open("rb") as printed:
                process = Process(int(replies.readline()), printed, replies)
                try:
                    yield process
                except BaseException:
                    process.kill()
                    raise
                finally:
                    process.wait()

    def run(
        self, module: str, arguments: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path | None = None
    ) -> Done:
        """Run `python -m module` to its end."""
        with tempfile.TemporaryDirectory() as folder:
            stderr = Path(folder) / "stderr"
            with self.start(module, arguments, env=env, cwd=cwd, stderr=stderr) as process:
                stdout = process.stdout.read().decode()
            return Done(process.wait(), stdout, stderr.read_text())


def _serve() -> dict[str, Any] | None:
    """Fork for each request, in the parent; the request, in a fork. None where the parent has had the last one."""
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            request: dict[str, Any] = json.loads(line)
            return request
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def _become(request: Mapping[str, Any]) -> None:
    for descriptor, (file, flags) in enumerate(
        zip(request["files"], (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY | os.O_CREAT), strict=True)
    ):
        os.dup2(os.open(file, flags), descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = [request["module"], *request["arguments"]]


if __name__ == "__main__":
    importlib.import_module(sys.argv[1])
    # A fork leaves the loop, and ends as any program does.
    if requested := _serve():
        _become(requested)
        runpy.run_module(requested["module"], run_name="__main__", alter_sys=True)
