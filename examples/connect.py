"""The connector with PyAirbyte, connected to the Prefect that Prefect's own settings name.

PREFECT_API_URL           http://localhost:4200/api for a server, or the address of a workspace of Prefect Cloud:
                          https://api.prefect.cloud/api/accounts/.../workspaces/...
PREFECT_API_KEY           the API key, for Prefect Cloud
PREFECT_API_AUTH_STRING   user:password, for a server that asks for them
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

import airbyte as ab

CLOUD = re.compile(r"(?P<api_url>https?://.+/api)/accounts/(?P<account_id>[\w-]+)/workspaces/(?P<workspace_id>[\w-]+)")


def connection() -> dict[str, Any]:
    """The `connection` of the connector's config."""
    api_url = os.environ.get("PREFECT_API_URL", "http://localhost:4200/api")
    if workspace := CLOUD.match(api_url):
        return {"type": "cloud", "api_key": os.environ["PREFECT_API_KEY"], **workspace.groupdict()}
    server = {"type": "server", "api_url": api_url}
    if auth_string := os.environ.get("PREFECT_API_AUTH_STRING"):
        server["auth_string"] = auth_string
    return server


def prefect(**settings: Any) -> ab.Source:
    """The source with all its streams; `settings` are those of the connector, such as `start_date`."""
    return ab.get_source(
        "source-prefect",
        config={"connection": connection(), **settings},
        streams="*",
        # Installed beside the Python that runs this: pip install airbyte airbyte-source-prefect
        local_executable=Path(sys.executable).parent / "source-prefect",
    )
