"""Random changes of a Prefect server, of every kind that its users make."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from devtools.servers.prefect import PrefectServer

TERMINAL = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
STATES = ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", *TERMINAL]

Operation = Callable[[], None]


class World:
    """Changes a server at random; `done` counts what it did."""

    def __init__(self, server: PrefectServer, seed: int, *, delete_schedules: bool = True) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._ids: dict[str, list[str]] = {
            "flows": [], "deployments": [], "flow_runs": [], "task_runs": [], "artifacts": [], "variables": [],
        }  # fmt: skip
        self._delete_schedules = delete_schedules
        self._made = 0
        self._seed = seed
        self.done: Counter[str] = Counter()
        self._operations: list[tuple[Operation, int]] = [
            (self.create_flow, 2),
            (self.edit_flow, 2),
            (self.create_deployment, 2),
            (self.edit_deployment, 3),
            (self.add_schedule, 2),
            (self.edit_schedule, 2),
            (self.delete_schedule, 1),
            (self.create_run, 8),
            (self.set_run_state, 14),
            (self.edit_run, 5),
            (self.create_task_run, 5),
            (self.set_task_run_state, 6),
            (self.create_artifact, 3),
            (self.edit_artifact, 2),
            (self.create_variable, 3),
            (self.edit_variable, 3),
            (self.delete_something, 4),
        ]

    def change(self, count: int = 1) -> None:
        for _ in range(count):
            [(operation, _)] = self._random.choices(self._operations, [weight for _, weight in self._operations])
            operation()
            self.done[operation.__name__] += 1

    # What there is to do

    def create_flow(self) -> None:
        self._create("flows", {"name": self._name("flow"), "tags": self._tags()})

    def edit_flow(self) -> None:
        if flow := self._any("flows"):
            self._server.patch(f"flows/{flow}", {"tags": self._tags()})

    def create_deployment(self) -> None:
        schedules = [self._schedule() for _ in range(self._random.randrange(3))]
        body = {"name": self._name("deployment"), "flow_id": self._flow(), "schedules": schedules, "tags": self._tags()}
        self._create("deployments", body)

    def edit_deployment(self) -> None:
        if deployment := self._any("deployments"):
            change = self._random.choice([{"description": self._name("text")}, {"paused": True}, {"paused": False}])
            self._server.patch(f"deployments/{deployment}", change)

    def add_schedule(self) -> None:
        if deployment := self._any("deployments"):
            self._server.post(f"deployments/{deployment}/schedules", [self._schedule()])

    def edit_schedule(self) -> None:
        for deployment, schedule in self._some_schedule():
            active = self._random.random() < 0.5
            self._server.patch(f"deployments/{deployment}/schedules/{schedule}", {"active": active})

    def delete_schedule(self) -> None:
        if self._delete_schedules:
            for deployment, schedule in self._some_schedule():
                self._server.delete(f"deployments/{deployment}/schedules/{schedule}")

    def create_run(self) -> None:
        state: dict[str, Any] = {"type": self._random.choice(["SCHEDULED", "SCHEDULED", "PENDING"])}
        if state["type"] == "SCHEDULED":
            due = datetime.now(UTC) + timedelta(minutes=self._random.randrange(-3000, 3000))
            state["state_details"] = {"scheduled_time": due.isoformat()}
        body = {"name": self._name("run"), "flow_id": self._flow(), "state": state, "tags": self._tags()}
        self._create("flow_runs", body)

    def set_run_state(self) -> None:
        """Start, finish, retry, cancel, or bring back to life: whatever the next state is."""
        if run := self._any("flow_runs"):
            self._set_state(f"flow_runs/{run}")

    def edit_run(self) -> None:
        if run := self._any("flow_runs"):
            change = self._random.choice([{"name": self._name("renamed")}, {"tags": self._tags()}])
            self._server.patch(f"flow_runs/{run}", change)

    def create_task_run(self) -> None:
        if run := self._any("flow_runs"):
            key = self._name("task")
            body = {"flow_run_id": run, "task_key": key, "dynamic_key": "0", "state": {"type": "PENDING"}}
            self._create("task_runs", body)

    def set_task_run_state(self) -> None:
        if run := self._any("task_runs"):
            self._set_state(f"task_runs/{run}")

    def create_artifact(self) -> None:
        body = {"key": self._name("artifact").replace("_", "-"), "type": "markdown", "data": self._name("text")}
        self._create("artifacts", body)

    def edit_artifact(self) -> None:
        if artifact := self._any("artifacts"):
            self._server.patch(f"artifacts/{artifact}", {"data": {"n": self._random.random()}})

    def create_variable(self) -> None:
        value = self._random.choice([1, "1", True, None, [1], {"a": "b"}])
        self._create("variables", {"name": self._name("variable"), "value": value, "tags": self._tags()})

    def edit_variable(self) -> None:
        if variable := self._any("variables"):
            self._server.patch(f"variables/{variable}", {"value": self._random.random()})

    def delete_something(self) -> None:
        table = self._random.choice([*self._ids, "flow_runs", "flow_runs"])
        if id_ := self._any(table):
            self._server.delete(f"{table}/{id_}")
            self._ids[table].remove(id_)
            if table in ("flows", "flow_runs"):
                self._forget_what_went_with_it()

    # What it takes

    def _create(self, table: str, body: dict[str, Any]) -> str:
        id_: str = self._server.post(f"{table}/", body)["id"]
        if id_ not in self._ids[table]:
            self._ids[table].append(id_)
        return id_

    def _any(self, table: str) -> str | None:
        """A row, one of the newest more often than an old one."""
        ids = self._ids[table]
        return ids[int(len(ids) * self._random.random() ** 0.5)] if ids else None

    def _flow(self) -> str:
        return self._any("flows") or self._create("flows", {"name": self._name("flow")})

    def _some_schedule(self) -> list[tuple[str, str]]:
        deployment = self._any("deployments")
        schedules = self._server.get(f"deployments/{deployment}")["schedules"] if deployment else []
        return [(deployment, self._random.choice(schedules)["id"])] if deployment and schedules else []

    def _set_state(self, path: str) -> None:
        state = {"type": self._random.choice(STATES), "message": self._name("message")}
        self._server.post(f"{path}/set_state", {"state": state, "force": True})

    def _forget_what_went_with_it(self) -> None:
        """A flow's deployments and runs go with it, and a run's task runs."""
        for table in ("deployments", "flow_runs", "task_runs"):
            left = {row["id"] for row in self._server.rows(table)}
            self._ids[table] = [id_ for id_ in self._ids[table] if id_ in left]

    def _schedule(self) -> dict[str, Any]:
        # Far apart, for the scheduler makes runs of an active one.
        days = 30 + self._random.randrange(30)
        return {"active": self._random.random() < 0.7, "schedule": {"interval": days * 86400}}

    def _tags(self) -> list[str]:
        return self._random.sample(["blue", "red", "om-source:db.s.t", "om-destination:db.s.u"], 2)

    def _name(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._seed}_{self._made}"
