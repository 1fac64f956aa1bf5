"""Copy Prefect into a DuckDB file. Run it again, and only what has changed is read and merged.

    python -m examples.to_duckdb prefect.duckdb

The state of each stream is kept in the same file, beside the tables.
"""

import sys
from pathlib import Path

from airbyte.caches import DuckDBCache

from examples.connect import prefect

target = Path(sys.argv[1] if len(sys.argv) > 1 else "prefect.duckdb")
result = prefect().read(cache=DuckDBCache(db_path=target))

for name, stream in sorted(result.streams.items()):
    print(f"{name}: {len(stream)} rows")
print(f"{result.processed_records} rows were read into {target}")
