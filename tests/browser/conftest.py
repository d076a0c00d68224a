"""A headless Chromium for the tests of this folder; without one they are skipped, and say why."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from run import find_chromium
from tests.browser.labpage import FLAGS


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium without a window."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on this machine; on Debian or Ubuntu: sudo apt install chromium, or set $CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield chromium
        chromium.close()
