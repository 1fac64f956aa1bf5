"""Copy Prefect into a schema of a PostgreSQL database. Run it again, and only what has changed is
read and merged.

    pip install airbyte .
    python -m examples.to_postgres postgresql://user:password@localhost:5432/warehouse prefect

The state of each stream is kept in the same schema, beside the tables.
"""

import sys

from examples.connect import copy, prefect, warehouse

cache = warehouse(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "prefect")
source = prefect()
read = copy(source, cache)

for name in sorted(source.get_available_streams()):
    print(f"{name}: {len(cache[name])} rows")
print(f"{read} rows were read into the schema {cache.schema_name}")
