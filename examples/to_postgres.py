"""Copy Prefect into a schema of a PostgreSQL database. Run it again, and only what has changed is read and merged.

    pip install airbyte .
    python -m examples.to_postgres postgresql://user:password@localhost:5432/warehouse prefect

The state of each stream is kept in the same schema, beside the tables.
"""

import sys
from urllib.parse import unquote, urlsplit

from examples.connect import copy, prefect  # isort: skip - it quietens what PyAirbyte says when it is imported

from airbyte.caches import PostgresCache

address = urlsplit(sys.argv[1])
cache = PostgresCache(
    host=address.hostname or "localhost",
    port=address.port or 5432,
    username=unquote(address.username or ""),
    password=unquote(address.password or ""),
    database=address.path.removeprefix("/"),
    schema_name=sys.argv[2] if len(sys.argv) > 2 else "prefect",
)
source = prefect()
read = copy(source, cache)

for name in sorted(source.get_available_streams()):
    print(f"{name}: {len(cache[name])} rows")
print(f"{read} rows were read into the schema {cache.schema_name}")
