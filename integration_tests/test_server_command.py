"""`python -m devtools.server`: a server or a stand-in for Cloud, and a config that reads it."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from devtools.connector import read_here


def printed(lines: Any) -> dict[str, Any]:
    """The config, whose last line closes the object."""
    text = ""
    for line in lines:
        text += line
        if line == "}\n":
            break
    config: dict[str, Any] = json.loads(text)
    return config


@pytest.mark.parametrize("options", [["--auth", "--tls", "--filled"], ["--cloud", "2"]], ids=" ".join)
def test_what_it_starts_can_be_read_until_it_is_stopped(options: Sequence[str]) -> None:
    command = [sys.executable, "-m", "devtools.server", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        config = printed(process.stdout)
        sync = read_here(config, ["flows", "workspaces"]).ok()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert bool(sync.records["flows"]) == ("--filled" in options)
    assert len(sync.records["workspaces"]) == (2 if "--cloud" in options else 0)
    assert read_here(config, ["flows"]).exit_code == 1
