"""A real Prefect server on a free port of 127.0.0.1, in its own folder, until the block ends."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

START_TIMEOUT = 120.0
# Longer than the server waits for a lock of SQLite, a minute: it then answers 503, and is asked
# again.
PATIENCE = 90

# Nothing happens on the server but what a test does: no runs are created for schedules, none is
# marked as late, no task runs are cancelled some time after their flow run was, and no automation
# acts, which is three more events at some later time. Events are stored soon after their changes.
QUIET = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.2",
}


@dataclass
class PrefectServer:
    """A running server. `url` ends in /api; `home` is PREFECT_HOME, with SQLite's `prefect.db`."""

    url: str
    home: Path
    # What a guarded server requires of the tests themselves.
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The environment in which Prefect's client talks to this server."""
        return _environment(self.home) | {"PREFECT_API_URL": self.url}

    @property
    def database(self) -> Path:
        return self.home / "prefect.db"

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("POST", path, body)

    def get(self, path: str) -> Any:
        return self._call("GET", path, None)

    def patch(self, path: str, body: Any) -> Any:
        return self._call("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path, None)

    def rows(self, table: str, **body: Any) -> list[dict[str, Any]]:
        """Every row of a table, by simple means: for servers that do not change meanwhile."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.post(f"{table}/filter", {"limit": 200, "offset": len(rows), **body})
            rows += page
            if len(page) < 200:
                return rows

    def wait_for_events(self) -> None:
        """Return when all events are written: a last one is sent, and the server keeps order."""
        last = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": "devtools.last"}
        self.post("events", [{**last, "resource": {"prefect.resource.id": f"devtools.{last['id']}"}}])
        deadline = time.monotonic() + 60
        while not self.post("events/filter", {"filter": {"id": {"id": [last["id"]]}}})["events"]:
            if time.monotonic() > deadline:
                raise AssertionError("The server does not write its events.")
            time.sleep(0.05)

    def clear(self) -> None:
        """Empty the tables of the connector's streams: a new server takes seconds to start."""
        tables = (
            "flow_run_state task_run_state task_run flow_run deployment_schedule deployment flow artifact_collection "
            "artifact variable event_resources events log automation work_queue work_pool worker block_document "
            "concurrency_limit_v2"
        )
        self.wait_for_events()
        with closing(sqlite3.connect(self.database, timeout=60)) as connection, connection:
            for table in tables.split():
                connection.execute(f"DELETE FROM {table}")

    def save(self, file: Path) -> None:
        """Copy the database into a file, when all events on their way are in it."""
        self.wait_for_events()
        _copy_database(self.database, file)

    def restore(self, file: Path) -> None:
        """Replace all rows with those that `save` wrote on a server of the same version."""
        self.wait_for_events()
        # Autocommit: SQLite attaches nothing within a transaction, and the server is to see all of
        # it or nothing.
        with closing(sqlite3.connect(self.database, timeout=60, isolation_level=None)) as connection:
            connection.execute("ATTACH ? AS saved", [str(file)])
            connection.execute("BEGIN IMMEDIATE")
            # Without SQLite's own.
            names = "SELECT name FROM saved.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            tables = connection.execute(names).fetchall()
            for (table,) in tables:
                connection.execute(f"DELETE FROM main.{table}")
                connection.execute(f"INSERT INTO main.{table} SELECT * FROM saved.{table}")
            connection.execute("COMMIT")

    def _call(self, method: str, path: str, body: Any) -> Any:
        deadline = time.monotonic() + 2 * PATIENCE
        response = requests.request(method, f"{self.url}/{path}", json=body, headers=self.headers, timeout=PATIENCE)
        # SQLite was locked by the server's own services: Prefect's client asks again, too.
        while response.status_code == requests.codes.service_unavailable and time.monotonic() < deadline:
            time.sleep(0.1)
            response = requests.request(method, f"{self.url}/{path}", json=body, headers=self.headers, timeout=PATIENCE)
        if not response.ok:
            raise AssertionError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None


@contextmanager
def prefect_server(
    settings: Mapping[str, str] | None = None,
    *,
    python: str | Path = sys.executable,
    home: Path | None = None,
) -> Iterator[PrefectServer]:
    """Start a server with these extra settings (environment variables) and stop it in the end."""
    with tempfile.TemporaryDirectory(prefix="prefect-") as folder:
        home = home or Path(folder)
        port = free_port()
        log_path = home / "server.log"
        command = [
            str(python),
            # By its path: the interpreter may be that of another environment.
            str(Path(__file__).with_name("prefect_process")),
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        server_settings = dict(settings or {})
        # A given database, or one in `home`, is migrated by the server.
        has_own = _DATABASE_URL in server_settings or (home / "prefect.db").exists()
        migrated = None if has_own else _migrated_database(Path(python))
        if migrated and migrated.exists():
            shutil.copyfile(migrated, home / "prefect.db")
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command, env=_environment(home) | server_settings, stdout=log, stderr=subprocess.STDOUT
            )
        server = PrefectServer(f"http://127.0.0.1:{port}/api", home)
        try:
            _wait_until_ready(server, process, log_path)
            if migrated and not migrated.exists():
                _copy_database(server.database, migrated)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_DATABASE_URL = "PREFECT_API_DATABASE_CONNECTION_URL"


def _migrated_database(python: Path) -> Path | None:
    """Where the first server of an environment leaves its database for the others: migrations take
    half of a start.

    In the virtual environment itself, under the name of the version; None where `python` is not in
    one.
    """
    environment = python.parent.parent
    installed = next(environment.glob("lib/python*/site-packages/prefect-[0-9]*.dist-info"), None)
    return environment / f"{installed.stem}.db" if installed and (environment / "pyvenv.cfg").exists() else None


def _copy_database(database: Path, file: Path) -> None:
    """Copy a database that is in use; what finds the file finds it whole."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        unfinished = Path(folder) / file.name
        with closing(sqlite3.connect(database, timeout=60)) as source, closing(sqlite3.connect(unfinished)) as copy:
            source.backup(copy)
        unfinished.replace(file)


def _wait_until_ready(server: PrefectServer, process: subprocess.Popen[bytes], log_path: Path) -> None:
    """A green /health does not prove that the server can read its tables: ask for one."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            # Any answer but a refused connection or a 5xx: a server may ask for credentials or a
            # CSRF token.
            answer = requests.post(f"{server.url}/flows/filter", json={"limit": 1}, timeout=5)
            if answer.status_code < 500 and answer.status_code != 404:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"The Prefect server did not start:\n{log_path.read_text()[-4000:]}")


def _environment(home: Path) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return inherited | {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        # A traceback for each answer 500, without colours and marked columns: those are a third
        # of what such an answer costs.
        "PREFECT_LOGGING_COLORS": "false",
        "PYTHONNODEBUGRANGES": "1",
        "PREFECT_API_URL": "",
        # The time zones of the package tzdata, which lists them in one file. Prefect asks for the
        # list with each schedule, and would look through the machine's hundreds of files.
        "PYTHONTZPATH": "",
    }
