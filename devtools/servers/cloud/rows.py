"""The columns that Prefect Cloud's rows have and a server's do not."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from devtools.servers.cloud.settings import Workspace

Row = dict[str, Any]


@dataclass
class Columns:
    """Adds the columns to the rows of a workspace. `rows_of` reads other tables of it."""

    workspace: Workspace
    rows_of: Callable[..., list[Row]]
    # The ids of the deployments that were disabled, which only Cloud can do.
    disabled: Collection[str]

    def add_to(self, table: str, rows: list[Row]) -> list[Row]:
        columns: dict[str, Callable[[list[Row]], Iterable[Row]]] = {
            "flows": self._flows,
            "deployments": self._deployments,
            "flow_runs": self._flow_runs,
            "work_pools": self._work_pools,
            "work_queues": self._work_queues,
            "automations": self._automations,
            "logs": self._logs,
        }
        if table not in columns:
            return rows
        # What the server knows already is left as it is.
        return [{**more, **row} for row, more in zip(rows, columns[table](rows), strict=True)]

    def _flows(self, rows: list[Row]) -> Iterable[Row]:
        return (self._actors(row) for row in rows)

    def _deployments(self, rows: list[Row]) -> Iterable[Row]:
        for row in rows:
            row["schedules"] = [{**_schedule(schedule), **schedule} for schedule in row["schedules"]]
            first = next(iter(row["schedules"]), None)
            yield {
                "disabled": row["id"] in self.disabled,
                **_version(row["id"]),
                "branch": None,
                "root": None,
                "base": None,
                "infra_overrides": row["job_variables"],
                "manifest_path": None,
                "schedule": first and first["schedule"],
                "is_schedule_active": bool(first and first["active"]),
            }

    def _flow_runs(self, rows: list[Row]) -> Iterable[Row]:
        ids = sorted({row["flow_id"] for row in rows})
        flows = self.rows_of("flows", flows={"id": {"any_": ids}}) if ids else []
        names = {flow["id"]: flow["name"] for flow in flows}
        for row in rows:
            version = _version(row["deployment_id"]) if row["deployment_id"] else dict.fromkeys(_version(""))
            yield {
                "flow_name": names.get(row["flow_id"]),
                **{f"deployment_{name}": value for name, value in version.items()},
            }

    def _work_pools(self, rows: list[Row]) -> Iterable[Row]:
        for row in rows:
            yield {"is_push_pool": False, "is_mex_pool": False, "last_polled": row["updated"], **self._actors(row)}

    def _work_queues(self, rows: list[Row]) -> Iterable[Row]:
        pools = {pool["id"]: pool for pool in self.rows_of("work_pools")}
        for row in rows:
            yield {"work_pool": pools.get(row["work_pool_id"]), **self._actors(row)}

    def _automations(self, rows: list[Row]) -> Iterable[Row]:
        for row in rows:
            yield {
                "account": self.workspace.account_id,
                "workspace": self.workspace.workspace_id,
                "actor": _actor(row["id"]),
                "labels": {},
            }

    def _logs(self, rows: list[Row]) -> Iterable[Row]:
        return ({"worker_id": None} for _ in rows)

    def _actors(self, row: Row) -> Row:
        return {"created_by": _actor(row["id"]), "updated_by": _actor(row["id"])}


def _actor(row_id: str) -> Row:
    return {"id": _id(f"actor of {row_id}"), "type": "USER", "display_value": "ada"}


def _version(deployment_id: str) -> Row:
    info = {"type": "vcs:github", "version": "1.4", "branch": "main", "url": "https://example.com/shop"}
    return {"version_id": _id(f"version of {deployment_id}"), "version_info": info}


def _schedule(schedule: Row) -> Row:
    return {
        "last_scheduled_at": schedule["updated"],
        "soonest_scheduled_run": None,
        "latest_scheduled_run": None,
        "max_active_runs": None,
        "catchup": False,
    }


def _id(text: str) -> str:
    return str(uuid5(NAMESPACE_URL, text))
