"""What Prefect Cloud reports about a key: the workspaces that it reads, and their plans."""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import requests
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.http.answers import parse
from source_prefect.http.session import Session
from source_prefect.settings.address import UUID, cloud_ui_url, workspace_api_url
from source_prefect.settings.parse import ConfigError
from source_prefect.settings.values import Cloud, Named, Workspace

LOGGER = logging.getLogger("airbyte")

# A plan that keeps rows for longer keeps them without end.
_LONGEST_RETENTION = 3650

Reported = Mapping[str, Any]


class TemporaryError(ConfigError):
    """The config may be right: Prefect Cloud did not answer."""


class Listing(NamedTuple):
    """The workspaces that the key reads, or why there is no list: `is_refused` if it may not."""

    workspaces: Sequence[Reported] = ()
    reason: str = ""
    is_refused: bool = False
    is_temporary: bool = False


def workspaces_to_read(session: Session) -> list[Workspace]:
    """The workspaces that the settings name, each once; a server counts as one.

    Raises ConfigError where Prefect Cloud does not report what the settings leave out;
    TemporaryError if it may later.
    """
    connection = session.settings.connection
    if not isinstance(connection, Cloud):
        return [Workspace(api_url=session.find_api(), ui_url="")]
    if len(connection.named) == 1 and all(connection.named[0]):
        return [_workspace(connection, connection.named[0])]
    seen = listing(session)
    if len(connection.named) > 1:
        found = [_found(connection, named, seen) for named in connection.named]
    else:
        found = [_reported(connection, each) for each in _left_out(connection, seen)]
    by_id = list({each.workspace_id: each for each in found}.values())
    if len(by_id) == 1:
        return by_id
    labels = (_name(each.reported) if each.reported else f"workspace {each.workspace_id}" for each in by_id)
    return [replace(each, label=label) for each, label in zip(by_id, labels, strict=True)]


def with_plans(session: Session, workspaces: Sequence[Workspace]) -> list[Workspace]:
    """The workspaces with their plans' retention. Asks each account once; keeps its limit."""
    accounts = dict.fromkeys(each.account_id for each in workspaces if each.account_id and not each.problem)
    plans = {account_id: _plan(session, account_id) for account_id in accounts}
    return [replace(each, retention_days=plans.get(each.account_id)) for each in workspaces]


def listing(session: Session) -> Listing:
    """The workspaces that the key reads, asked once in a command."""
    return session.once("workspaces", lambda: _list(session))


def details(session: Session, workspace: Workspace) -> Reported:
    """What Prefect Cloud reports about a workspace; nothing where the key may not list workspaces.

    Raises ConfigError.
    """
    if workspace.reported:
        return workspace.reported
    seen = listing(session)
    if seen.reason and not seen.is_refused:
        raise ConfigError(f"Prefect Cloud does not report the name of the workspace: {seen.reason}.")
    return {} if seen.reason else _only(Named(workspace.account_id, workspace.workspace_id), seen.workspaces)


def unknown_workspace(session: Session, workspace: Workspace) -> str:
    """Why a workspace answered 404; empty where the workspace is not the reason."""
    if not workspace.workspace_id:
        return ""
    seen = listing(session)
    sentence = (
        f"Prefect Cloud knows no workspace {workspace.workspace_id} in the account {workspace.account_id}, or the "
        "key's owner is not a member of it (404)."
    )
    if seen.reason:
        return f"{sentence} Are the two ids swapped, or is one mistyped?"
    if any(each["workspace_id"] == workspace.workspace_id for each in seen.workspaces):
        return ""
    return f"{sentence} The key reads {_shown(seen.workspaces)}."


def _list(session: Session) -> Listing:
    try:
        response = session.ask("me/workspaces")
    except AirbyteTracedException as error:
        return Listing(reason=str(error.message).rstrip("."), is_temporary=True)
    if response.status_code == requests.codes.unauthorized:
        return Listing(reason="it rejected the API key (401)")
    if response.status_code >= requests.codes.server_error or response.status_code == requests.codes.too_many:
        return Listing(reason=f"it answered {response.status_code}", is_temporary=True)
    found: Any = None
    with suppress(ValueError):
        found = parse(response.content)
    if not isinstance(found, list):
        if response.status_code == requests.codes.not_found and _is_server(session):
            raise ConfigError("connection.api_url leads to a Prefect Server: choose Prefect Server as the connection.")
        is_refused = response.status_code in (requests.codes.forbidden, requests.codes.not_found)
        reason = f"it answered {response.status_code}, so paste the address of the workspace"
        return Listing(reason=reason, is_refused=is_refused)
    if not all(isinstance(each, dict) and _is_named(each) for each in found):
        return Listing(reason="its list has an entry without ids, so paste the address of the workspace")
    return Listing(found)


def _is_server(session: Session) -> bool:
    """Whether a Prefect Server answers. Prefect Cloud has no such list, so only a failure asks."""
    with suppress(AirbyteTracedException, ValueError):
        response = session.ask("admin/version")
        return response.ok and isinstance(parse(response.content), str)
    return False


def _is_named(reported: Reported) -> bool:
    """Whether both ids are UUIDs, as they become part of each address."""
    return all(re.fullmatch(UUID, str(reported.get(name))) for name in Named._fields)


def _left_out(connection: Cloud, seen: Listing) -> Sequence[Reported]:
    """All workspaces, or the only one. Raises ConfigError."""
    if seen.reason:
        if connection.reads_all:
            problem = "connection.workspace is all"
        else:
            missing = "account" if connection.named[0].workspace_id else "workspace"
            problem = f"connection.workspace does not name the {missing}"
        error = TemporaryError if seen.is_temporary else ConfigError
        raise error(f"{problem}, and Prefect Cloud does not report the rest: {seen.reason}.")
    if not connection.reads_all:
        return [_only(connection.named[0], seen.workspaces)]
    if not seen.workspaces:
        raise ConfigError("connection.workspace is all, and the API key reads no workspace.")
    return seen.workspaces


def _found(connection: Cloud, named: Named, seen: Listing) -> Workspace:
    """One of several. What is wrong with it is its `problem`, because the others can be read."""
    if named.account_id and not seen.workspaces:
        # The key may not list them, or Cloud lists none for its kind: a request shows whether it
        # reads this one.
        return _workspace(connection, named)
    problem = f"Prefect Cloud does not report the account of a workspace that is named by its id: {seen.reason}."
    if seen.is_temporary:
        raise TemporaryError(problem)
    if not seen.reason:
        try:
            return _reported(connection, _only(named, seen.workspaces))
        except ConfigError as error:
            problem = str(error)
    return _workspace(connection, named, problem=problem)


def _only(named: Named, seen: Sequence[Reported]) -> Reported:
    """The one with these ids, as far as there are any. Raises ConfigError."""
    matching = [each for each in seen if all(id_ in ("", each[name]) for name, id_ in named._asdict().items())]
    if len(matching) > 1:
        raise ConfigError(f"connection.workspace must say which workspace to read: the API key reads {_shown(seen)}.")
    if not matching:
        raise ConfigError(
            f"There is no such workspace, or the key's owner is not a member of it: the key reads {_shown(seen)}."
        )
    return matching[0]


def _reported(connection: Cloud, reported: Reported) -> Workspace:
    named = Named(reported["account_id"], reported["workspace_id"])
    return replace(_workspace(connection, named), reported=reported)


def _workspace(connection: Cloud, named: Named, problem: str = "") -> Workspace:
    return Workspace(
        api_url=workspace_api_url(connection.api_url, *named),
        ui_url=cloud_ui_url(connection.api_url, *named),
        problem=problem,
        **named._asdict(),
    )


def _name(reported: Reported) -> str:
    """The account and the workspace, by name; by id where Prefect Cloud reports no name."""
    account = reported.get("account_name") or reported["account_id"]
    return f"{account} / {reported.get('workspace_name') or reported['workspace_id']}"


def _shown(seen: Sequence[Reported]) -> str:
    """The workspaces as a user recognizes them."""
    shown = [f"{_name(each)} (account_id {each['account_id']}, workspace_id {each['workspace_id']})" for each in seen]
    return "; ".join(shown) or "no workspace"


def _plan(session: Session, account_id: str) -> int | None:
    """The days that the account's plan keeps runs and events, where the key may read that.

    Half of its requests per minute become the limit of the account, unless the user set a number.
    """
    limits: Any = None
    with suppress(AirbyteTracedException, ValueError):
        response = session.ask(f"accounts/{account_id}/usage_limits")
        limits = parse(response.content) if response.ok else None
    reported = limits if isinstance(limits, dict) else {}
    values = (reported.get(name) for name in ("orchestration_rate_limit", "run_retention_days"))
    rate, days = (value if type(value) is int and value > 0 else 0 for value in values)
    if rate and not session.settings.max_requests_per_minute:
        share = max(1, rate // 2)
        session.transport.limit(account_id, share)
        LOGGER.info(
            f"Prefect Cloud takes {rate:,} requests a minute from the account {account_id}. A sync sends at most "
            f"{share:,}, so that flows keep the rest; max_requests_per_minute sets another number."
        )
    return days if days and days <= _LONGEST_RETENTION else None
