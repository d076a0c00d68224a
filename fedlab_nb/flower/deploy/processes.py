"""One of Flower's programs, with all the processes it starts: begun, watched by what it prints, ended by number."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.guard.tree import descendants, freeze, kill, lives, tell
from fedlab_nb.flower.deploy.refusals import did_not_start
from fedlab_nb.flower.party.place import PARTY

# Seconds that programs get to end by themselves before they are ended.
GRACE = 4.0
_GLANCE = 0.05
_VERSION = ["1", "42"]
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# A notebook's kernel sets these, and programs then colour even what a program reads.
_COLOURS = ("FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR")


def check_installed() -> None:
    """Refuse to begin where Flower is not installed, or in another version than the one this was made for.

    Raises:
        SettingError.
    """
    if importlib.util.find_spec("flwr") is None:
        raise SettingError(
            "Flower is not installed in this environment.",
            "Past one machine, Flower moves the messages; fedlab_nb alone does not.",
            'Install it: pip install "fedlab-nb[flower]".',
        )
    version = importlib.metadata.version("flwr")
    if version.split(".")[:2] != _VERSION:
        raise SettingError(
            f"Flower {version} is installed, not {'.'.join(_VERSION)}.",
            "Programs of different versions do not understand each other, and not every version says so.",
            'Install the right one at every site: pip install "fedlab-nb[flower]".',
        )


def executable(name: str) -> str:
    """The path of one of Flower's programs, beside the Python that runs this.

    Raises:
        SettingError: Flower is not installed there, or in another version than the one this was made for.
    """
    check_installed()
    found = Path(sys.executable).parent / (f"{name}.exe" if os.name == "nt" else name)
    if not found.is_file():
        raise SettingError(
            f"The program {name} is not installed beside {Path(sys.executable).name}.",
            "Past one machine, Flower moves the messages; fedlab_nb alone does not.",
            'Install it into this environment: pip install "fedlab-nb[flower]".',
        )
    return str(found)


def environment(home: Path, more: Mapping[str, str] | None = None, *, local: bool = False) -> dict[str, str]:
    """The variables of one of Flower's programs whose own files are in ``home``.

    Nothing is reported to Flower's makers and no update is looked for. ``local``: it talks to this machine only, so
    proxies are left out.
    """
    home.mkdir(parents=True, exist_ok=True)
    unwanted = {name for name in os.environ if name.startswith("FLWR_") or name in _COLOURS}
    inherited = {name: value for name, value in os.environ.items() if name not in unwanted}
    if local:
        inherited = {name: value for name, value in inherited.items() if name.upper() not in _PROXIES}
    programs = str(Path(sys.executable).parent)
    return {
        **inherited,
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.2",
        # SuperLink and SuperNode find flower-superexec, flwr-serverapp and flwr-clientapp by this path.
        "PATH": os.pathsep.join([programs, *filter(None, [inherited.get("PATH", "")])]),
        # Without it a log that is read through a pipe arrives in blocks of 8 kB.
        "PYTHONUNBUFFERED": "1",
        **(more or {}),
    }


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A running program of Flower: what it prints goes to the file ``log``, and ``end`` also ends what it started."""

    def __init__(self, name: str, command: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self._from = out.tell()
            # A session of its own: Ctrl-C in a notebook or terminal is not for it.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(variables), start_new_session=True
            )
        self._root = psutil.Process(self._process.pid)
        self._seen: set[psutil.Process] = {self._root}

    @property
    def pid(self) -> int:
        """The number of the program's own process."""
        return self._process.pid

    @property
    def number(self) -> tuple[int, float]:
        """The process's number and the moment it began; together they mean this process and no later one."""
        return self.pid, float(self._root.create_time())

    @property
    def running(self) -> bool:
        """Whether the program itself has not ended."""
        return self._process.poll() is None

    def said(self) -> str:
        """What it printed since it was started."""
        with self.log.open("rb") as file:
            file.seek(self._from)
            return file.read().decode("utf-8", errors="replace")

    def wait_for(self, text: str, seconds: float) -> str:
        """The rest of the first line with ``text``, as soon as it was printed.

        Raises:
            DeploymentError: it ended before, or ``seconds`` passed.
        """
        limit = time.monotonic() + seconds
        while True:
            ended = not self.running
            said = self.said()
            if text in said and "\n" in (rest := said.split(text, 1)[1]):
                return rest.split("\n", 1)[0].strip()
            if ended or time.monotonic() > limit:
                raise did_not_start(self.name, said, None if ended else seconds)
            time.sleep(_GLANCE)

    def processes(self) -> list[psutil.Process]:
        """All living processes that it started, itself first."""
        self._seen |= descendants(self._seen)
        alive = [process for process in self._seen if lives(process)]
        return sorted(alive, key=lambda process: (process != self._root, process.pid))

    def parties(self) -> list[psutil.Process]:
        """Of a SuperNode: the parties' own processes, which outlive the process of Flower that began them.

        Once the SuperNode is gone they see so, and end by themselves, with what is in their folder.
        """
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                command = process.cmdline()
                if PARTY in command and command[-1] == str(self.pid) and lives(process):
                    found.append(process)
        return found

    def pause(self) -> None:
        """Stop all its processes where they stand, as on a machine that hangs."""
        self._seen |= set(freeze(set(self.processes())))

    def resume(self) -> None:
        """Let paused processes go on."""
        for process in reversed(self.processes()):
            tell(process, "resume")

    def kill(self) -> None:
        """End all its processes at once, as on a machine that loses its power."""
        end([self], grace=0)


def end(programs: Iterable[Program], *, grace: float = GRACE) -> None:
    """End ``programs`` and all that they started: asked first, and after ``grace`` seconds without asking."""
    programs = list(programs)
    for program in programs:
        # Known before their parent ends: an orphan could no longer be found.
        program.processes()
        if grace and program.running:
            program.resume()
            tell(program._root, "terminate")  # noqa: SLF001
    limit = time.monotonic() + grace
    while any(program.running for program in programs) and time.monotonic() < limit:
        time.sleep(_GLANCE)
    rest = freeze({process for program in programs for process in program.processes()})
    kill(rest)
    for program in programs:
        program._process.wait()  # noqa: SLF001


def write_numbers(file: Path, programs: Iterable[Program]) -> None:
    """Write down the numbers of ``programs``, for whoever has to end them when this process cannot."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps([program.number for program in programs]), "utf-8")
    new.replace(file)
