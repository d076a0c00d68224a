"""A headless Chromium and two real front ends for the tests of this folder; without Chromium they say why they skip."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from playwright.sync_api import Browser, sync_playwright

from run import find_chromium
from tests.browser.front import Front
from tests.browser.server import Name, Server

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)


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


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Name], Server]]:
    """A front end's server by its name, started when it is first asked for, and ended with the tests."""
    started: list[Server] = []

    @cache
    def server(name: Name) -> Server:
        folder, home = tmp_path_factory.mktemp(f"{name}-work"), tmp_path_factory.mktemp(f"{name}-home")
        started.append(Server(name, folder, home))
        return started[-1]

    yield server
    for each in started:
        each.end()


@pytest.fixture(params=["lab", "notebook7"])
def front(request: pytest.FixtureRequest, browser: Browser, servers: Callable[[Name], Server]) -> Iterator[Front]:
    """Each front end in turn; a test that is about one names it: ``parametrize("front", ["lab"], indirect=True)``.

    At the end of the test its pages must have told of no error.
    """
    front = Front(servers(request.param), browser, re.sub(r"\W+", "-", request.node.name).strip("-"))
    yield front
    assert front.close() == []
