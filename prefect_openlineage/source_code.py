"""Where the code of a deployment is, by its entrypoint and the step that clones its repository."""

import json
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

# How these hosts show a file; others lead to the repository.
_FILE_PAGES = {"github.com": "blob", "gitlab.com": "-/blob", "bitbucket.org": "src"}
_SSH = re.compile(r"^(?:ssh://)?git@(?P<host>[^:/]+)[:/](?P<path>.+)$")


class SourceCode(NamedTuple):
    """A file in a repository."""

    url: str
    repository: str
    path: str | None
    branch: str | None
    version: str | None


def source_code(entrypoint: str | None, pull_steps: str | None) -> SourceCode | None:
    """The file of `flows/orders.py:load` in a git_clone step's repository; None without one."""
    step = next(_clones(pull_steps), None)
    if step is None:
        return None
    repository = _web_address(str(step["repository"]))
    if repository is None:
        return None
    branch, version = step.get("branch"), step.get("commit_sha")
    path = (entrypoint or "").partition(":")[0] or None
    page = _FILE_PAGES.get(urlsplit(repository).hostname or "")
    url = f"{repository}/{page}/{version or branch or 'HEAD'}/{path}" if page and path else repository
    return SourceCode(url, repository, path, branch, version)


def _clones(pull_steps: str | None) -> Any:
    try:
        steps = json.loads(pull_steps or "[]")
    except ValueError:
        return
    for step in steps if isinstance(steps, list) else ():
        for name, settings in step.items() if isinstance(step, dict) else ():
            if name.endswith("git_clone") and isinstance(settings, dict) and settings.get("repository"):
                yield settings


def _web_address(repository: str) -> str | None:
    """A repository's address in a browser, without credentials: a catalog shows it to everyone."""
    if match := _SSH.match(repository):
        repository = f"https://{match['host']}/{match['path']}"
    parts = urlsplit(repository)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = parts.hostname + (f":{parts.port}" if parts.port else "")
    return urlunsplit((parts.scheme, host, parts.path.removesuffix("/").removesuffix(".git"), "", ""))
