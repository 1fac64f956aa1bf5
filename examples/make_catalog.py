"""The catalog that `source-prefect read` wants: all streams, incrementally where that is possible.

source-prefect discover --config config.json | python examples/make_catalog.py > catalog.json
"""

import json
import sys
from typing import Any


def choose(stream: dict[str, Any]) -> dict[str, Any]:
    """A stream with the best of its sync modes; one that is always read whole replaces what was there."""
    mode = stream["supported_sync_modes"][-1]
    written = "append" if mode == "incremental" else "overwrite"
    return {"stream": stream, "sync_mode": mode, "destination_sync_mode": written}


if __name__ == "__main__":
    messages = map(json.loads, sys.stdin)
    streams = next(message["catalog"]["streams"] for message in messages if message["type"] == "CATALOG")
    json.dump({"streams": [choose(stream) for stream in streams]}, sys.stdout)
