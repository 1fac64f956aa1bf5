"""`poetry lock` by the simple index alone, run by Poetry's own Python.

The command asks the index for a JSON page of each version, which the mirrors of an index do not have.
"""

import sys
from pathlib import Path

from cleo.io.null_io import NullIO
from poetry.factory import Factory
from poetry.installation.installer import Installer
from poetry.repositories import RepositoryPool
from poetry.repositories.legacy_repository import LegacyRepository
from poetry.utils.env import EnvManager


def main(project: Path) -> int:
    poetry = Factory().create_poetry(project)
    index = poetry.pool.repository("PyPI").url
    pool = RepositoryPool([LegacyRepository("index", index)], config=poetry.config)
    environment = EnvManager.get_system_env(naive=True)
    installer = Installer(NullIO(), environment, poetry.package, poetry.locker, pool, poetry.config)
    installer.lock()
    code: int = installer.run()
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
