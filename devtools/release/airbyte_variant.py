"""`make airbyte-variant`: the edition in pure YAML, as Airbyte's monorepo wants it.

It is written to `build/airbyte/`.
"""

import shutil
from pathlib import Path

from devtools.matrix.pythons import ROOT
from devtools.release.builder import MANIFEST

FOLDER = ROOT / "build" / "airbyte"
# As Airbyte names them.
CONNECTOR = Path("airbyte-integrations/connectors/source-prefect")
PAGE = Path("docs/integrations/sources/prefect.md")

PARTS = ("manifest.yaml", "metadata.yaml", "acceptance-test-config.yml", "integration_tests", "README.md")


def write(folder: Path) -> Path:
    """Write the tree. Returns the connector's folder in it."""
    shutil.rmtree(folder, ignore_errors=True)
    edition, connector, page = MANIFEST.parent, folder / CONNECTOR, folder / PAGE
    connector.mkdir(parents=True)
    page.parent.mkdir(parents=True)
    for part in PARTS:
        copy = shutil.copytree if (edition / part).is_dir() else shutil.copy
        copy(edition / part, connector / part)
    shutil.copy(ROOT / "icon.svg", connector)
    shutil.copy(edition / "prefect.md", page)
    return connector


def main() -> None:
    connector = write(FOLDER)
    print(f"The connector is in {connector.relative_to(ROOT)}, its page is {(FOLDER / PAGE).relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
