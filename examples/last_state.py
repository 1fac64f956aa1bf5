"""The state with which the next sync begins: the last one of each stream in what `source-prefect
read` has written.

python examples/last_state.py < messages.jsonl > state.json
"""

import json
import sys
from collections.abc import Iterable
from typing import Any


def last_states(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    states = (message["state"]["stream"] for message in messages if message["type"] == "STATE")
    last = {state["stream_descriptor"]["name"]: state for state in states}
    return [{"type": "STREAM", "stream": state} for state in last.values()]


if __name__ == "__main__":
    json.dump(last_states(map(json.loads, sys.stdin)), sys.stdout)
