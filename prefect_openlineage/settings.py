"""The mapping file: how jobs and datasets are called in the catalog."""

from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from prefect_openlineage.datasets import Datasets, Rule


@dataclass(frozen=True)
class Settings:
    """What a mapping file says, or what holds without one."""

    job_namespace: str = "prefect"
    job_per_deployment: bool = True
    owner: str = "{owner}"
    prefect_version: str = "unknown"
    datasets: Datasets = field(default_factory=Datasets)


def read_settings(file: Path | None) -> Settings:
    """Read a mapping file; an unknown word in it is an error, for it would be without effect."""
    if file is None:
        return Settings()
    content = yaml.safe_load(file.read_text()) or {}
    _check(content, {"jobs", "prefect_version", "unmapped", "datasets"}, str(file))
    jobs = content.get("jobs") or {}
    _check(jobs, {"namespace", "name", "owner"}, "jobs")
    name = jobs.get("name", "deployment")
    if name not in ("deployment", "flow"):
        raise ValueError(f"The name of jobs is {name}: it may be deployment or flow.")
    namespace = jobs.get("namespace", "prefect")
    if unknown := {key for _, key, _, _ in Formatter().parse(namespace) if key is not None} - {"workspace"}:
        raise ValueError(f"The namespace of jobs holds {{{unknown.pop()}}}: it may hold {{workspace}}.")
    owner = str(jobs.get("owner", "{owner}"))
    if [key for _, key, _, _ in Formatter().parse(owner) if key is not None] != ["owner"]:
        raise ValueError(f"The owner of jobs is {owner}: it must hold {{owner}}, and nothing else in braces.")
    rules = []
    for number, rule in enumerate(content.get("datasets") or [], 1):
        _check(rule, {"prefix", "namespace", "name", "case"}, f"rule {number} of datasets")
        rules.append(Rule(rule.get("prefix", ""), rule.get("namespace", ""), rule.get("name"), rule.get("case")))
    return Settings(
        namespace,
        name == "deployment",
        owner,
        str(content.get("prefect_version", "unknown")),
        # A table is one, whichever workspace names it.
        Datasets(rules, content.get("unmapped", "prefect" if "{" in namespace else namespace)),
    )


def _check(content: Any, known: set[str], where: str) -> None:
    if not isinstance(content, dict):
        raise TypeError(f"{where} is no mapping of words to values.")
    if unknown := sorted(content.keys() - known):
        raise ValueError(
            f"{where} holds {unknown[0]}, of which nothing is known: it may hold {', '.join(sorted(known))}."
        )
