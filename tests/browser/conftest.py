"""A desk served as people start it, and Debian's Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.flows.desk.conftest import Studio, studio

__all__ = ["studio"]
ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build/desk"
"""Every page as the tests saw it: look at them as a coordinator would."""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's Chromium; nothing is downloaded."""
    if not CHROMIUM:
        pytest.skip("no chromium: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def served(studio: Studio) -> Iterator[str]:
    """The address of a desk on the studio's store, with a slash."""
    command = [sys.executable, "-m", "flows.cli", "desk", "--port", "0", "--store"]
    with subprocess.Popen(
        [*command, studio.store.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DOUGA_PREFECT": "off"},
    ) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture
def look(chromium: Any, studio: Studio) -> Iterator[Callable[..., Any]]:
    """Opens a page of the desk, which is started for the first; whatever the browser complains of
    fails the test, pictures of segments that a test did not make aside."""
    complaints: list[str] = []
    address: list[str] = []

    def complain(told: Any) -> None:
        if "thumb.webp" not in told.location["url"]:
            complaints.append(f"{told.text} {told.location['url']}")

    with ExitStack() as stack:

        def open_page(path: str = "", **how: Any) -> Any:
            if not address:
                address.append(stack.enter_context(served(studio)))
            context = chromium.new_context(**{"viewport": {"width": 1400, "height": 900}, **how})
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.on("console", complain)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"{address[0]}{path}")
            return page

        yield open_page
    assert complaints == []
