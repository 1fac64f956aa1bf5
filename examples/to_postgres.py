"""Copy Prefect into a schema of a PostgreSQL database. Run it again, and only what has changed is read and merged.

    python -m examples.to_postgres postgresql://user:password@localhost:5432/warehouse prefect

The state of each stream is kept in the same schema, beside the tables.
"""

import sys
from urllib.parse import unquote, urlsplit

from airbyte.caches import PostgresCache

from examples.connect import prefect

address = urlsplit(sys.argv[1])
cache = PostgresCache(
    host=address.hostname or "localhost",
    port=address.port or 5432,
    username=unquote(address.username or ""),
    password=unquote(address.password or ""),
    database=address.path.removeprefix("/"),
    schema_name=sys.argv[2] if len(sys.argv) > 2 else "prefect",
)
result = prefect().read(cache=cache)

for name, stream in sorted(result.streams.items()):
    print(f"{name}: {len(stream)} rows")
print(f"{result.processed_records} rows were read into the schema {cache.schema_name}")
