"""A real JupyterLab or Notebook 7 on this machine: kept apart from everything of the user's, and ended well."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Name = Literal["lab", "notebook7"]


@dataclass(frozen=True)
class Kind:
    """What differs between the two front ends from outside."""

    module: str
    flag: str
    place: str


KINDS: dict[Name, Kind] = {
    "lab": Kind("jupyterlab", "LabApp.expose_app_in_browser", "lab/tree/{}?reset"),
    "notebook7": Kind("notebook", "JupyterNotebookApp.expose_app_in_browser", "notebooks/{}"),
}
QUIET = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
START_SECONDS, END_SECONDS = 90, 20


class Server:
    """A running server: ``url`` is its address, ``folder`` what it serves, ``home`` where it keeps its own things."""

    def __init__(self, name: Name, folder: Path, home: Path) -> None:
        self.name, self.folder, self.home = name, folder, home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        for file, values in QUIET.items():
            self._set(file, values)
        log = home / "server.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(_command(name, folder, port), env=self.environment, stdout=out, stderr=out)
        wait_until(lambda: self._answers() or self._process.poll() is not None, "the server answers", START_SECONDS)
        assert self._process.poll() is None, f"{name} did not start:\n{log.read_text()[-3000:]}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that keep the server, and every Jupyter command, out of the user's own folders."""
        own = {
            "HOME": "",
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        return {**os.environ, **{name: str(self.home / part) for name, part in own.items()}}

    def set_theme(self, theme: Literal["light", "dark"]) -> None:
        """From the next page on, the front end is light or dark."""
        self._set("apputils-extension/themes", {"theme": THEMES[theme]})

    def address(self, file: str) -> str:
        """Where a page shows this notebook."""
        return f"{self.url}/{KINDS[self.name].place.format(file)}"

    def end_kernels(self) -> None:
        """Shut down every kernel and wait until it is gone."""
        for session in json.loads(self._call("GET", "sessions")):
            self._call("DELETE", f"sessions/{session['id']}")
        for kernel in json.loads(self._call("GET", "kernels")):
            self._call("DELETE", f"kernels/{kernel['id']}")

    def kernels(self) -> int:
        """How many kernels run."""
        return len(json.loads(self._call("GET", "kernels")))

    def end(self) -> None:
        """End the server and, before it, its kernels: hence SIGTERM first."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _set(self, file: str, values: dict[str, object]) -> None:
        path = self.home / "settings" / "@jupyterlab" / f"{file}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))

    def _call(self, method: str, what: str) -> str:
        request = urllib.request.Request(f"{self.url}/api/{what}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.read().decode())

    def _answers(self) -> bool:
        try:
            return bool(self._call("GET", "status"))
        except (urllib.error.URLError, OSError):
            return False


def _command(name: Name, folder: Path, port: int) -> list[str]:
    flags = {
        "ip": "127.0.0.1",
        "port": port,
        "ServerApp.port_retries": 0,
        "IdentityProvider.token": "",
        "ServerApp.disable_check_xsrf": True,
        "ServerApp.root_dir": folder,
        # A test run that is killed leaves its server behind: it then ends by itself.
        "ServerApp.shutdown_no_activity_timeout": 900,
        KINDS[name].flag: True,
    }
    start = [sys.executable, "-m", KINDS[name].module, "--no-browser", "--allow-root"]
    return [*start, *(f"--{flag}={value}" for flag, value in flags.items())]


def wait_until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Return as soon as ``true()`` is; a machine may be slow, so the limit is generous and only ends a lost cause."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)
