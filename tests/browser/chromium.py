"""The Chromium that the tests of the site run in.

    python -m tests.browser.chromium [--install]     says where one is; installs one where that is allowed

Looked for, in order: ``MAQUETTE_CHROMIUM``, what Debian and others install, what ``playwright install`` has
left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO_GET_ONE = (
    "no Chromium was found: `apt-get install chromium`, or `.venv/bin/playwright install chromium`, "
    "or name one in MAQUETTE_CHROMIUM"
)
#: WebGL without a graphics card; no sandbox for root, whom Chromium refuses otherwise
_FLAGS = ["--enable-unsafe-swiftshader", "--use-angle=swiftshader"]


def find() -> str | None:
    """The path of a Chromium, None where there is none."""
    given = os.environ.get("MAQUETTE_CHROMIUM")
    if given:
        return given
    for program in _PROGRAMS:
        found = shutil.which(program)
        if found:
            return found
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return str(own) if own.exists() else None


def launch(playwright: Playwright, path: str) -> Browser:
    """A headless browser that can draw WebGL."""
    flags = [*_FLAGS, "--no-sandbox"] if os.geteuid() == 0 else _FLAGS
    return playwright.chromium.launch(executable_path=path, args=flags)


def install() -> None:
    """Debian's Chromium, where this user may install programs; what goes wrong is said by apt-get."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", *command], check=False)


def main() -> None:
    path = find()
    if path is None and "--install" in sys.argv:
        install()
        path = find()
    print(f"Chromium: {path}" if path else f"The tests of the site will be skipped: {HOW_TO_GET_ONE}.")


if __name__ == "__main__":
    main()
