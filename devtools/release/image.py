"""Builds docker/Dockerfile with buildah, which needs no daemon, and tries the image out (`make
image`).

Prints what spec, check and a read of all streams of a real Prefect server came to, the size and
the time of a start. `python -m devtools.release.image [BASE]` takes another base image than that
of the Dockerfile.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devtools.connector import catalog
from devtools.matrix.pythons import ROOT
from devtools.servers.prefect import PrefectServer, prefect_server

FOLDER = ROOT / "docker"
# Debian's packages of these names hold them.
TOOLS = ("buildah", "crun")
TAG = "localhost/airbyte/source-prefect:dev"
# The containers share this machine's network, for the server listens on its loopback address only.
ENVIRONMENT = os.environ | {"BUILDAH_ISOLATION": "chroot"}


def buildah(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["buildah", *arguments], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def build(base: str | None) -> None:
    base_image = ("--build-arg", f"BASE_IMAGE={base}") if base else ()
    dockerfile = FOLDER / "Dockerfile"
    ignored = FOLDER / "Dockerfile.dockerignore"
    buildah("build", "--quiet", *base_image, "--file", dockerfile, "--ignorefile", ignored, "--tag", TAG, ".")


@contextmanager
def container() -> Iterator[str]:
    name = buildah("from", TAG)
    try:
        yield name
    finally:
        buildah("rm", name)


def run(name: str, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """The messages of the connector in the container, which sees `folder` as /config."""
    output = buildah("run", "--volume", f"{folder}:/config:ro", name, "source-prefect", *arguments)
    return [json.loads(line) for line in output.splitlines()]


def try_out(name: str, server: PrefectServer, folder: Path) -> None:
    config = {"connection": {"type": "server", "api_url": server.url}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "catalog.json").write_text(json.dumps(catalog(None, "incremental")))
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        messages = run(name, folder, "spec")
        seconds.append(time.monotonic() - began)
        assert any(message["type"] == "SPEC" for message in messages), messages
    print(f"spec: ok in {min(seconds):.1f} s, the fastest of three")

    messages = run(name, folder, "check", "--config", "/config/config.json")
    (status,) = [message["connectionStatus"] for message in messages if message["type"] == "CONNECTION_STATUS"]
    assert status["status"] == "SUCCEEDED", status
    print("check: ok")

    messages = run(name, folder, "read", "--config", "/config/config.json", "--catalog", "/config/catalog.json")
    rows = Counter(message["record"]["stream"] for message in messages if message["type"] == "RECORD")
    assert rows["flows"], rows
    print(f"read: {rows.total()} rows of {len(rows)} streams")


def size(name: str) -> int:
    """The bytes that the image holds beyond its base: the connector's folder."""
    return int(buildah("run", name, "du", "--summarize", "--bytes", "/opt/source-prefect").split()[0])


def main(arguments: Sequence[str]) -> None:
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        sys.exit(f"There is no {' and no '.join(missing)}: install Debian's packages {' and '.join(TOOLS)}.")
    build(arguments[0] if arguments else None)
    with prefect_server() as server, container() as name, tempfile.TemporaryDirectory() as folder:
        # The user in the container is another one.
        Path(folder).chmod(0o755)
        server.post("flows/", {"name": "made-by-make-image"})
        try_out(name, server, Path(folder))
        print(f"size: {size(name) / 1e6:.0f} MB above the base image")


if __name__ == "__main__":
    main(sys.argv[1:])
