"""The catalog that `source-prefect read` wants: all streams, incrementally where that is possible.

source-prefect discover --config config.json | python examples/make_catalog.py > catalog.json
"""

import json
import sys
from typing import Any


def choose(stream: dict[str, Any]) -> dict[str, Any]:
    """A stream in its best sync mode; one that is always read whole replaces what was there."""
    mode = stream["supported_sync_modes"][-1]
    written = "append" if mode == "incremental" else "overwrite"
    return {"stream": stream, "sync_mode": mode, "destination_sync_mode": written}


if __name__ == "__main__":
    messages = [json.loads(line) for line in sys.stdin]
    streams = [stream for message in messages for stream in message.get("catalog", {}).get("streams", ())]
    if not streams:
        errors = [message["trace"]["error"]["message"] for message in messages if "error" in message.get("trace", {})]
        sys.exit(f"This is not the output of a successful `source-prefect discover`. {' '.join(errors)}".strip())
    json.dump({"streams": [choose(stream) for stream in streams]}, sys.stdout)
