"""dlt's `rest_api` source, set up by its documentation: a POST endpoint, offsets in the body, an
incremental cursor.

Only dlt's extract step runs: to normalize and to load is a destination's work, which no other
contender does.
"""

import os
import tempfile

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # before dlt reads it

import dlt
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig

from benchmarks.contenders import Span, main

PAGE = 200
BEGINNING = "1970-01-01T00:00:00Z"


def read(url: str, table: str, cursor: str, span: Span) -> tuple[int, str]:
    first, end = span
    config: RESTAPIConfig = {
        "client": {
            "base_url": f"{url}/",
            "paginator": {
                "type": "offset",
                "limit": PAGE,
                "limit_body_path": "limit",
                "offset_body_path": "offset",
                "offset": first,
                "maximum_offset": end,
                "total_path": None,
            },
        },
        "resources": [
            {
                "name": table,
                "primary_key": "id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": f"{table}/filter",
                    "method": "POST",
                    "json": {},
                    "incremental": {"cursor_path": "updated", "initial_value": cursor or BEGINNING},
                },
            }
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("benchmark", pipelines_dir=folder, destination="filesystem", dataset_name="benchmark")
        extracted = pipeline.extract(rest_api_source(config))
        metrics = [step["table_metrics"].get(table) for steps in extracted.metrics.values() for step in steps]
        resource = pipeline.state["sources"]["rest_api"]["resources"][table]
        newest: str = resource["incremental"]["updated"]["last_value"]
        return sum(metric.items_count for metric in metrics if metric), newest


if __name__ == "__main__":
    main(read)
