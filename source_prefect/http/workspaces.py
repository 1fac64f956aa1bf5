"""The workspaces of Prefect Cloud that a connection reads."""

from source_prefect.config.settings import ALL, ConfigError, normalize
from source_prefect.http.cloud import Config, NotListed, Workspace, Workspaces, listed, name_of, workspaces_of_key

_IDS = ("account_id", "workspace_id")


class TemporaryError(ConfigError):
    """The config may be right: Prefect Cloud did not answer."""


def each_workspace(config: Config) -> list[Config]:
    """The config of each workspace, once; a server counts as one.

    Where Prefect Cloud was asked, a config has its answer as `workspace`. Where there are several workspaces, it has a
    `label` for messages. One that the key does not read has a `problem`: a sentence.

    Raises ConfigError where Prefect Cloud does not report what the config leaves out; TemporaryError if it may later.
    """
    connection = config["connection"]
    if connection["type"] == "server" or all(connection[name] for name in _IDS):
        return [config]
    named = [_narrowed(config, workspace_id=text) for text in connection["workspaces"] if text != ALL]
    if named:
        seen = workspaces_of_key(named[0])
        found = [_found(each, seen) for each in named]
    else:
        found = [_reported(config, workspace) for workspace in _left_out(config)]
    by_id = {each["connection"]["workspace_id"]: each for each in found}
    return [{**each, "label": _label(each)} for each in by_id.values()] if len(by_id) > 1 else list(by_id.values())


def workspace_of(config: Config) -> Workspace:
    """What Prefect Cloud reports about the config's workspace; its ids alone where the key may not list workspaces.

    Raises ConfigError.
    """
    if "workspace" in config:
        known: Workspace = config["workspace"]
        return known
    seen = workspaces_of_key(config)
    if isinstance(seen, NotListed):
        if seen.is_refused:
            return {name: config["connection"][name] for name in _IDS}
        raise ConfigError(f"Prefect Cloud does not report the name of the workspace: {seen.reason}.")
    return _only(config, seen)


def _narrowed(config: Config, **ids: str) -> Config:
    narrow = {**config, "connection": {**config["connection"], "workspaces": [], **ids}}
    return {**narrow, **normalize(narrow)}


def _reported(config: Config, workspace: Workspace) -> Config:
    return {**_narrowed(config, **{name: workspace[name] for name in _IDS}), "workspace": workspace}


def _left_out(config: Config) -> Workspaces:
    """All workspaces, or the only one. Raises ConfigError."""
    is_all = config["connection"]["workspaces"] == [ALL]
    seen = workspaces_of_key(config)
    if isinstance(seen, NotListed):
        field = "connection.workspaces is all" if is_all else "connection.workspace_id is missing"
        error = TemporaryError if seen.is_temporary else ConfigError
        raise error(f"{field}, and Prefect Cloud does not report it: {seen.reason}.")
    if is_all and not seen:
        raise ConfigError("connection.workspaces is all, and the API key reads no workspace.")
    return seen if is_all else [_only(config, seen)]


def _found(named: Config, seen: Workspaces | NotListed) -> Config:
    connection = named["connection"]
    if connection["account_id"] and not isinstance(seen, NotListed) and not seen:
        # The key reads none, or Cloud lists none for its kind: a request shows which.
        return named
    if not isinstance(seen, NotListed):
        try:
            return _reported(named, _only(named, seen))
        except ConfigError as error:
            return {**named, "problem": str(error)}
    if connection["account_id"]:
        return named
    problem = f"Prefect Cloud does not report the account of a workspace that is named by its id: {seen.reason}."
    if seen.is_temporary:
        raise TemporaryError(problem)
    return {**named, "problem": problem}


def _only(config: Config, seen: Workspaces) -> Workspace:
    """The one with the ids of the config, as far as it names any. Raises ConfigError."""
    ids = {name: config["connection"][name] for name in _IDS}
    matching = [workspace for workspace in seen if all(ids[name] in ("", workspace[name]) for name in _IDS)]
    if len(matching) != 1:
        raise ConfigError(
            f"connection.workspace_id must say which workspace to read: the API key reads {listed(seen)}."
            if matching
            else f"There is no such workspace, or the key's owner is not a member of it: the key reads {listed(seen)}."
        )
    return matching[0]


def _label(config: Config) -> str:
    workspace = config.get("workspace")
    return name_of(workspace) if workspace else f"workspace {config['connection']['workspace_id']}"
