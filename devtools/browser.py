"""A real Chromium, for the tests that look at pages. `python -m devtools.browser` installs one where there is none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_chromium() -> Path | None:
    """The program that CHROMIUM names, or one on the PATH, or Playwright's own."""
    candidates = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES), _playwright_chromium()]
    return next((Path(path) for path in candidates if path and Path(path).exists()), None)


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
