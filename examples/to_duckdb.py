"""Copy Prefect into a DuckDB file. Run it again, and only what has changed is read and merged.

    pip install airbyte .
    python -m examples.to_duckdb prefect.duckdb

The state of each stream is kept in the same file, beside the tables.
"""

import sys

from examples.connect import copy, prefect, warehouse

target = sys.argv[1] if len(sys.argv) > 1 else "prefect.duckdb"
source, cache = prefect(), warehouse(target)
read = copy(source, cache)

for name in sorted(source.get_available_streams()):
    print(f"{name}: {len(cache[name])} rows")
print(f"{read} rows were read into {target}")
