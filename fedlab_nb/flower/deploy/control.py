"""Runs at a SuperLink: started, watched, stopped and asked about, through Flower's own command line."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.console import Console, check_address, check_certificate, run_number
from fedlab_nb.flower.deploy.processes import environment
from fedlab_nb.flower.deploy.refusals import unreachable
from fedlab_nb.flower.deploy.settings import Setting, write_settings

_AGAIN = 1.0
_BEGUN_ALL_THE_SAME = (
    "The SuperLink may have begun this run all the same: control.runs() lists the runs there, the latest first, and "
    "control.stop(number) ends one; fl.flower.attach(project, control, number) watches it."
)


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands, as the SuperLink says.

    ``state`` is one of "pending", "starting", "running", "completed", "failed", "stopped"; ``details`` is what Flower
    says of a failure; ``seconds`` it has run; ``received`` and ``sent`` are the SuperLink's bytes.
    """

    run_id: int
    state: str
    details: str
    seconds: float
    received: int
    sent: int

    @property
    def ended(self) -> bool:
        """Whether the run is over, well or not."""
        return self.state in {"completed", "failed", "stopped"}


@dataclass(frozen=True)
class Node:
    """A registered SuperNode: ``state`` is "registered" (never seen yet), "online" or "offline"."""

    node_id: int
    state: str


class Control:
    """Drives the SuperLink at ``address`` (host:port); below the folder ``home`` are Flower's own settings for it.

    ``root_certificate`` is the ``ca.pem`` by which the SuperLink is known. A Control keeps nothing open: it can be made
    anew at any time, in another session, and finds the same runs.

    Example:
        >>> control = Control("fl.example.org:8000", "ca.pem", "flower-home")  # doctest: +SKIP
        >>> run = control.run("our-app", {"rounds": 5})  # doctest: +SKIP
        >>> for line in control.log(run):  # doctest: +SKIP
        ...     print(line)
        >>> control.status(run).state  # doctest: +SKIP
        'completed'
    """

    def __init__(
        self,
        address: str,
        root_certificate: str | Path,
        home: str | Path,
        *,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        check_address(address)
        certificate, folder = _path(root_certificate, "root_certificate"), _path(home, "home")
        check_certificate(certificate)
        self.address, self.root_certificate = address, certificate.absolute()
        self._console = Console(address, self.root_certificate, folder, variables or environment(folder))

    def __repr__(self) -> str:
        return f"Control({self.address!r})"

    def run(self, app: str | Path, settings: Mapping[str, Setting] | None = None) -> int:
        """Start the app in the folder ``app`` with ``settings`` and return the number of the run.

        The settings' names must stand under ``[tool.flwr.app.config]`` in the app's pyproject.toml. An interruption
        comes before the number: a run that began all the same is the first of ``runs()``.

        Raises:
            DeploymentError: the SuperLink cannot be reached or refuses, or the folder holds no app.
        """
        with tempfile.TemporaryDirectory(prefix="fedlab-run-") as folder:
            more = ["--run-config", str(write_settings(Path(folder) / "run.toml", settings))] if settings else []
            try:
                said = self._ask("starting a run", "run", str(_path(app, "app").absolute()), "SUPERLINK", *more)
            except KeyboardInterrupt as error:
                error.add_note(_BEGUN_ALL_THE_SAME)
                raise
        return int(said["run-id"])

    def runs(self) -> tuple[RunStatus, ...]:
        """All runs that the SuperLink knows, the one that was started last first.

        Raises:
            DeploymentError: the SuperLink cannot be reached.
        """
        return tuple(map(_run_status, self._ask("listing the runs", "list", "SUPERLINK")["runs"]))

    def status(self, run: int) -> RunStatus:
        """Where the run stands; a ServerApp that failed is "failed" here, whatever commands returned.

        Raises:
            DeploymentError: the SuperLink cannot be reached or knows no such run.
        """
        with self._reaching():
            return self._status(run)

    def stop(self, run: int) -> None:
        """End a run before its time.

        Raises:
            DeploymentError: the SuperLink cannot be reached, or the run is unknown or over.
        """
        self._ask("stopping a run", "stop", run_number(run), "SUPERLINK")

    def register(self, public_key: str | Path, name: str) -> int:
        """Let the SuperNode with ``public_key`` in, under ``name``, and return its number.

        Raises:
            DeploymentError: the SuperLink cannot be reached, or the key is registered already.
        """
        return self.registered(self.registering(public_key, name))

    def registering(self, public_key: str | Path, name: str) -> subprocess.Popen[str]:
        """Begin what ``register`` does; several can be on their way at once. End each with ``registered``."""
        return self._console.begin("supernode", "register", str(public_key), "SUPERLINK", "--name", name)

    def registered(self, asked: subprocess.Popen[str]) -> int:
        """The number of the node that ``registering`` asked for."""
        with self._reaching():
            return int(self._console.answer("registering a SuperNode", asked)["node-id"])

    def nodes(self) -> tuple[Node, ...]:
        """The registered SuperNodes.

        Raises:
            DeploymentError: the SuperLink cannot be reached.
        """
        said = self._ask("listing the SuperNodes", "supernode", "list", "SUPERLINK")
        return tuple(Node(int(entry["node-id"]), str(entry["status"])) for entry in said["nodes"])

    def log(self, run: int, *, patience: float = 60.0) -> Iterator[str]:
        """What the ServerApp prints, line by line from its beginning, until the run ends.

        Give it up at any time, and call it again later, from another session too: it begins at the beginning. When the
        SuperLink is lost on the way, it is looked for again for ``patience`` seconds, and the log goes on where it was.

        Raises:
            DeploymentError: the SuperLink cannot be reached, or knows no such run.
        """
        number, told, limit = run_number(run), 0, 0.0
        while True:
            with closing(self._console.lines("reading a log", "log", number, "SUPERLINK", "--stream")) as lines:
                try:
                    for line in islice(lines, told, None):
                        told, limit = told + 1, time.monotonic() + patience
                        yield line
                    # A SuperLink that is being ended closes the log as if the run were over.
                    if self._status(run).ended:
                        return
                except ConnectionError as error:
                    if time.monotonic() > limit:
                        raise unreachable(self.address, self.root_certificate) from error
            time.sleep(_AGAIN)

    def _status(self, run: int) -> RunStatus:
        return _run_status(
            self._console.ask("asking for a run", "list", "SUPERLINK", "--run-id", run_number(run))["runs"][0]
        )

    def _ask(self, doing: str, *arguments: str) -> dict[str, Any]:
        with self._reaching():
            return self._console.ask(doing, *arguments)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except ConnectionError as error:
            raise unreachable(self.address, self.root_certificate) from error


def _run_status(entry: Mapping[str, Any]) -> RunStatus:
    traffic = entry.get("network-traffic", {})
    details = str(entry.get("status-details", ""))
    return RunStatus(
        int(entry["run-id"]),
        str(entry["status"]).rpartition(":")[2],
        "" if details == "N/A" else details,
        float(entry.get("elapsed", 0.0)),
        int(traffic.get("inbound-bytes", 0)),
        int(traffic.get("outbound-bytes", 0)),
    )


def _path(given: object, name: str) -> Path:
    if isinstance(given, str | Path):
        return Path(given)
    raise SettingError(
        f"{name} was given as {given!r}.",
        "It is the path of a file or folder, as a text or a Path.",
        'For example fl.flower.Control("fl.example.org:8000", "ca.pem", "flower-home").',
    )
