"""A stand-in for Prefect Cloud, which no test can reach: real servers behind its known ways."""

from devtools.servers.cloud.front import Cloud, cloud
from devtools.servers.cloud.settings import HOBBY, PRO, STARTER, TEAM, Key, Limits, Plan, Settings, Workspace

__all__ = ["HOBBY", "PRO", "STARTER", "TEAM", "Cloud", "Key", "Limits", "Plan", "Settings", "Workspace", "cloud"]
