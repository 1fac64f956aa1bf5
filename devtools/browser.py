"""A real Chromium for tests of pages. `python -m devtools.browser` installs a missing one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, ViewportSize, sync_playwright

PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1440, "height": 900}

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Launch it, without a window."""
    program = find_chromium()
    assert program, "There is no Chromium: run `make browser`, or name one in the environment variable CHROMIUM."
    with sync_playwright() as playwright:
        # Its sandbox does not start as root.
        launched = playwright.chromium.launch(executable_path=program, chromium_sandbox=os.geteuid() != 0)
        yield launched
        launched.close()


def open_page(
    browser: Browser, file: Path, viewport: ViewportSize, *, scheme: Literal["light", "dark"] = "light"
) -> Page:
    """A report, drawn offline. Fails if the page complains or asks for anything else."""
    context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True)
    # A busy machine draws slowly.
    context.set_default_timeout(120_000)
    page = context.new_page()
    complaints: list[str] = []

    def hear(said: ConsoleMessage | Error | Request) -> None:
        if not (isinstance(said, Request) and said.url.startswith(("file:", "data:"))):
            complaints.append(said.url if isinstance(said, Request) else str(said))

    page.on("console", hear)
    page.on("pageerror", hear)
    page.on("request", hear)
    page.goto(file.as_uri())
    assert complaints == []
    return page


def cells(page: Page, table: str) -> list[list[str]]:
    """The values of the cells of a table, as the page sorts by them."""
    found: list[list[str]] = page.evaluate(
        "table => { expand(document.getElementById(table)); "
        "return [...document.getElementById(table).tBodies[0].rows].map(row => [...row.cells].map(held)) }",
        table,
    )
    return found


def faults(page: Page) -> list[str]:
    """Flaws in how the page looks: text that is cut off, overlaps, is unreadable, or `null`."""
    found: list[str] = page.evaluate(Path(__file__).with_name("page_faults.js").read_text())
    return found


def find_chromium() -> Path | None:
    """The program that CHROMIUM names, or one on the PATH, or Playwright's own."""
    return next((path for path in map(Path, _candidates()) if path.exists()), None)


def _candidates() -> Iterator[str]:
    yield from filter(None, [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES)])
    # Last, for it starts Playwright.
    yield _playwright_chromium()


def install() -> None:
    """By apt on Debian as root, or else from Playwright's servers."""
    if os.geteuid() == 0 and shutil.which("apt-get") and "ID=debian" in _os_release():
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium"], check=True)
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def _playwright_chromium() -> str:
    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def _os_release() -> list[str]:
    file = Path("/etc/os-release")
    return file.read_text().splitlines() if file.exists() else []


if __name__ == "__main__":
    if find_chromium() is None:
        install()
    print(f"Chromium: {find_chromium()}")
