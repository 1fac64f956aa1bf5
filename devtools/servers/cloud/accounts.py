"""What Prefect Cloud tells beside workspaces: a key's owner and rights, and the plan's limits."""

from collections.abc import Sequence
from typing import Any

from devtools.servers.cloud.answers import forbidden, not_found
from devtools.servers.cloud.settings import Key, Plan, Workspace
from devtools.servers.proxy import Answer


def me(key: Key) -> Answer:
    """The key's owner, if that is a person."""
    if key.is_of_service_account:
        return forbidden()
    return Answer.of(
        {"first_name": "Ada", "last_name": "Lovelace", "handle": "ada", "email": "ada@example.com", "location": None}
    )


def my_workspaces(workspaces: Sequence[Workspace], key: Key) -> Answer:
    if not key.lists_workspaces:
        return forbidden()
    return Answer.of([_listed(workspace) for workspace in workspaces if key.reads(workspace)])


def account(path: Sequence[str], workspaces: Sequence[Workspace], key: Key, plan: Plan) -> Answer:
    """What follows /accounts/: an id alone, or with `usage_limits` behind it."""
    account_id, *rest = path
    mine = next((w for w in workspaces if w.account_id == account_id and key.reads(w)), None)
    if mine is None:
        return not_found()
    pages: dict[tuple[str, ...], dict[str, Any]] = {
        (): {
            "id": account_id,
            "name": mine.account_name,
            "handle": _handle(mine.account_name),
            "plan_type": plan.name,
            "run_retention_days": plan.retention_days,
        },
        ("usage_limits",): {
            "orchestration_rate_limit": plan.requests_per_minute,
            "log_rate_limit": plan.requests_per_minute,
            "run_retention_days": plan.retention_days,
        },
    }
    if tuple(rest) not in pages:
        return not_found()
    return Answer.of(pages[tuple(rest)]) if key.reads_account else forbidden()


def _listed(workspace: Workspace) -> dict[str, str]:
    return {
        "account_id": workspace.account_id,
        "account_name": workspace.account_name,
        "account_handle": _handle(workspace.account_name),
        "workspace_id": workspace.workspace_id,
        "workspace_name": workspace.name,
        "workspace_description": "",
        "workspace_handle": _handle(workspace.name),
    }


def _handle(name: str) -> str:
    return name.lower().replace(" ", "-")
