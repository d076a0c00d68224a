"""A real JupyterLab and a real page on it, for tests: start, open, run, look, click."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Locator, Page

# Known noise of the page itself: the figure still comes up (a fixed 2 s limit inside anywidget), and Lab asks for
# files that a fresh workspace does not have.
HARMLESS = ("[anywidget] Failed to initialize model.", "Failed to load resource", "favicon")
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
SETTINGS = {
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
    "notebook-extension/tracker": '{"windowingMode": "none"}',
}


@contextmanager
def lab_server(folder: Path, home: Path) -> Iterator[str]:
    """The address of a JupyterLab that serves ``folder``, keeps everything of its own in ``home``, and ends after."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, text in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    log = home / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(_command(folder, port), env=_environment(home), stdout=out, stderr=out)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url) or server.poll() is not None, "the server answers", 90)
        assert server.poll() is None, f"JupyterLab did not start:\n{log.read_text()[-3000:]}"
        yield url
    finally:
        # SIGTERM and not SIGKILL: the server then ends its kernels before itself.
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _command(folder: Path, port: int) -> list[str]:
    flags = {
        "ip": "127.0.0.1",
        "port": port,
        "ServerApp.port_retries": 0,
        "IdentityProvider.token": "",
        "ServerApp.disable_check_xsrf": True,
        "ServerApp.root_dir": folder,
        "ServerApp.shutdown_no_activity_timeout": 900,
        "LabApp.expose_app_in_browser": True,
    }
    start = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    return [*start, *(f"--{name}={value}" for name, value in flags.items())]


def _environment(home: Path) -> dict[str, str]:
    own = {
        "HOME": home,
        "IPYTHONDIR": home / "ipython",
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
    }
    return {**os.environ, **{name: str(path) for name, path in own.items()}}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/status", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def wait_until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Return as soon as ``true()`` is; a machine may be slow, so the limit is generous and only ends a lost cause."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)


class LabPage:
    """One notebook in JupyterLab, as somebody in front of it would see and use it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(message.text)

    def _note(self, text: str) -> None:
        if not any(known in text for known in HARMLESS):
            self.problems.append(text[:500])

    def ask(self, code: str) -> str:
        """What ``code`` prints when the notebook's kernel runs it, outside any cell."""
        return str(
            self.page.evaluate(
                """async (code) => {
                    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                    const asked = kernel.requestExecute({ code, store_history: false });
                    let said = "";
                    asked.onIOPub = (message) => { said += message.content.text ?? ""; };
                    await asked.done;
                    return said;
                }""",
                code,
            )
        ).strip()

    def open(self, url: str, name: str, *, idle: bool = True) -> None:
        """Open a notebook in a fresh workspace and wait until its kernel is there, and ``idle`` if that is asked."""
        self.page.goto(f"{url}/lab/tree/{name}?reset")
        self.page.wait_for_function(
            """(idle) => {
                const panel = window.jupyterapp?.shell?.currentWidget;
                const status = panel?.context?.isReady && panel.sessionContext?.session?.kernel?.status;
                return idle ? status === "idle" : ["idle", "busy"].includes(status);
            }""",
            arg=idle,
            timeout=90_000,
        )

    def run_all(self) -> None:
        """Start all cells and return at once; ``finished`` tells when all are done."""
        self.page.evaluate(
            """() => {
                window.allDone = false;
                window.jupyterapp.commands.execute("notebook:run-all-cells").finally(() => { window.allDone = true; });
            }"""
        )

    @property
    def finished(self) -> bool:
        """Whether all cells have run."""
        self.refuse_cell_errors()
        return bool(self.page.evaluate("() => window.allDone"))

    def refuse_cell_errors(self) -> None:
        """Fail at once when a cell failed, instead of waiting in vain for what it would have shown."""
        errors = self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
                .flatMap((cell) => cell.outputs ?? []).filter((output) => output.output_type === "error")
                .map((output) => output.ename + ": " + output.evalue)"""
        )
        assert not errors, errors

    def points(self) -> int:
        """How many points the longest line of the chart has; 0 where there is no chart yet."""
        self.refuse_cell_errors()
        return int(
            self.page.evaluate(
                """() => {
                    const drawn = [...document.querySelectorAll(".js-plotly-plot")].pop()?._fullData ?? [];
                    return Math.max(0, ...drawn.map((trace) => trace._length ?? 0));
                }"""
            )
        )

    def text(self, name: str) -> str:
        """The text of the element with this data-testid; empty where it is not there."""
        found = self.page.locator(f'[data-testid="{name}"]')
        return found.last.inner_text() if found.count() else ""

    def round(self) -> int:
        """The round that the header names; 0 where there is no header yet."""
        return int(self.text("header-round") or 0)

    def button(self, name: str) -> Locator:
        """The button with this name among the outputs; its icon is a letter of the icon font before the name."""
        return self.page.locator(".jp-OutputArea").get_by_role("button", name=re.compile(rf"\b{name}$")).last

    def press(self, name: str) -> None:
        """Click the button with this name, once it can be clicked."""
        self.button(name).click(timeout=30_000)

    def has_button(self, name: str) -> bool:
        """Whether there is a button with this name."""
        return self.button(name).count() > 0

    def printed(self) -> str:
        """All that the cells printed, as the notebook model has it."""
        return str(
            self.page.evaluate(
                """() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
                    .flatMap((cell) => cell.outputs ?? []).filter((output) => output.output_type === "stream")
                    .map((output) => [output.text].flat().join("")).join("")"""
            )
        )
