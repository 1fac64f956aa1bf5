"""The connector with PyAirbyte, connected to the Prefect that Prefect's own settings name.

    pip install airbyte .

installs both, in a checkout of this repository.

PREFECT_API_URL           http://localhost:4200/api for a server; for a workspace of Prefect Cloud:
                          https://api.prefect.cloud/api/accounts/.../workspaces/...
PREFECT_API_KEY           the API key, for Prefect Cloud
PREFECT_API_AUTH_STRING   user:password, for a server that asks for them
"""

import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

# PyAirbyte reads these when it is imported: it need not look the connector up in Airbyte's
# registry, nor tell anyone.
os.environ.setdefault("AIRBYTE_OFFLINE_MODE", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
# Its libraries warn of Pythons that they will not support one day.
warnings.filterwarnings("ignore", category=FutureWarning)

import airbyte as ab  # noqa: E402
from airbyte.caches import CacheBase, DuckDBCache, PostgresCache  # noqa: E402
from airbyte.strategies import WriteStrategy  # noqa: E402

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
    """The source with all streams; `settings` are the connector's own, such as `start_date`."""
    return ab.get_source(
        "source-prefect",
        config={"connection": connection(), **settings},
        streams="*",
        # Installed beside the Python that runs this.
        local_executable=Path(sys.executable).parent / "source-prefect",
    )


def warehouse(target: str, schema: str = "prefect") -> CacheBase:
    """The tables in a DuckDB file, or in a schema of a PostgreSQL database: postgresql://user:password@host/database."""
    if not target.startswith(("postgres://", "postgresql://")):
        return DuckDBCache(db_path=target)
    address = urlsplit(target)
    return PostgresCache(
        host=address.hostname or "localhost",
        port=address.port or 5432,
        username=unquote(address.username or ""),
        password=unquote(address.password or ""),
        database=address.path.removeprefix("/"),
        schema_name=schema,
    )


def copy(source: ab.Source, cache: CacheBase) -> int:
    """Read all streams into the cache, only what has changed where that is possible; how many rows
    were read.

    The check comes first, because it says in one sentence what is wrong with a connection.

    A stream that is always read whole is replaced: merged, it would keep the edge of a tag that
    was removed.
    """
    source.check()
    whole = [
        stream.stream.name
        for stream in source.get_configured_catalog().streams
        if [mode.value for mode in stream.stream.supported_sync_modes] == ["full_refresh"]
    ]
    changing = [name for name in source.get_available_streams() if name not in whole]
    changed = source.read(cache=cache, streams=changing)
    replaced = source.read(cache=cache, streams=whole, write_strategy=WriteStrategy.REPLACE, force_full_refresh=True)
    return changed.processed_records + replaced.processed_records
