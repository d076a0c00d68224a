"""A whole Flower federation on this machine: one SuperLink and a SuperNode for each site, as on as many machines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.deploy import certificates
from fedlab_nb.flower.deploy.commands import superexec_command, superlink_command, supernode_command
from fedlab_nb.flower.deploy.control import Control
from fedlab_nb.flower.deploy.guard.tree import end_written, set_guard
from fedlab_nb.flower.deploy.processes import (
    GRACE,
    Program,
    end,
    environment,
    free_port,
    write_numbers,
)
from fedlab_nb.flower.deploy.settings import Setting, write_settings

_READY = 60.0
# A SuperLink forgets a silent SuperNode after two heartbeats of 30 seconds.
_FORGOTTEN, _AGAIN = 90.0, 2.0
_SUPERLINK, _SUPEREXEC = "superlink", "superexec"
_NUMBERS = "processes.json"
_OWN = re.compile(r"certificates|control|logs|superlink|superexec|site\d+")


@dataclass(frozen=True)
class Site:
    """One place with a SuperNode: ``name``, and ``config``, what its apps read as ``context.node_config``."""

    name: str
    config: Mapping[str, Setting] = field(default_factory=dict)


class Loopback:
    r"""SuperLink and SuperNodes on 127.0.0.1, with TLS and node authentication; use it in a ``with``.

    ``folder`` (a new or empty one; left out, a temporary one) takes all files: databases, keys, logs. Leaving the
    ``with`` ends every process and removes these files, unless ``keep`` is true. ``variables`` are added to every
    program's environment. If this process itself is killed, a small guard process ends them, and removes the folder, or
    the one ``around`` it that goes with it.

    ``control`` starts and watches runs; ``nodes`` gives the SuperNode's number for each site's name.

    Example:
        >>> sites = [Site("north", {"data": "north.csv"}), Site("south", {"data": "south.csv"})]
        >>> with Loopback(sites) as lab:  # doctest: +SKIP
        ...     run = lab.control.run(Path("our-app"))
        ...     print(*lab.control.log(run), sep="\n")
    """

    def __init__(
        self,
        sites: Iterable[Site],
        folder: Path | None = None,
        *,
        keep: bool = False,
        variables: Mapping[str, str] | None = None,
        around: Path | None = None,
    ) -> None:
        self.sites = {site.name: site for site in _checked(sites)}
        self._folder, self._keep, self._variables, self._around = folder, keep, dict(variables or {}), around
        self._programs: dict[str, Program] = {}
        self.nodes: dict[str, int] = {}

    def __enter__(self) -> Self:
        made = self._folder is None or not self._folder.exists()
        self.folder = _own_folder(self._folder)
        # Also runs at the end of the interpreter, when nobody closed it.
        self._closing = weakref.finalize(
            self,
            _close,
            os.getpid(),
            self._programs,
            self.folder,
            set_guard(self.folder / _NUMBERS, self._around or (self.folder if made and not self._keep else None)),
            keep=self._keep,
            made=made,
        )
        try:
            self._make_files()
            self._start_superlink()
            self._start_superexec()
            self._register()
            self._start_supernodes(self.sites)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, and remove all files unless they were to be kept. Calling it twice does nothing more."""
        self._closing()

    @property
    def address(self) -> str:
        """Where the SuperLink listens."""
        return f"127.0.0.1:{self._port}"

    def pids(self) -> dict[str, tuple[int, ...]]:
        """The numbers of all living processes: of "superlink", of "superexec" with the ServerApps, of each site.

        A site's are its SuperNode, what of Flower it has begun, and the parties' own processes, in this order.
        """
        found = {name: (*program.processes(), *program.parties()) for name, program in self._programs.items()}
        # A party's process that was seen to begin is among the first as well.
        return {name: tuple(dict.fromkeys(one.pid for one in processes)) for name, processes in found.items()}

    def log_of(self, name: str) -> Path:
        """The file with what the SuperNode of the site ``name``, "superlink" or "superexec" printed."""
        return self.folder / "logs" / f"{self._places[name]}.log"

    def stop(self, site: str) -> None:
        """End a site's SuperNode in good order: it signs off at the SuperLink."""
        end([self._named(site)])

    def kill(self, site: str) -> None:
        """End a site's SuperNode and its apps without a word, as if the machine had lost its power.

        The SuperLink takes it for online until its heartbeats have been missing for a minute.
        """
        self._named(site).kill()

    def restart(self, site: str) -> None:
        """Start a site's SuperNode again, with the same key; it is online on return. One that runs is stopped first.

        After ``kill`` this takes up to a minute: a second node with the key of one that counts as online is refused.
        """
        self.stop(site)
        limit = time.monotonic() + _FORGOTTEN
        while True:
            try:
                return self._start_supernodes([site])
            except FedLabError:
                if "Failed to activate" not in self._programs[site].said() or time.monotonic() > limit:
                    raise
            time.sleep(_AGAIN)

    def pause(self, site: str) -> None:
        """Let all processes of a site stand still, as on a machine that hangs."""
        self._named(site).pause()

    def resume(self, site: str) -> None:
        """Let a paused site go on."""
        self._named(site).resume()

    def restart_superlink(self, *, suddenly: bool = False) -> None:
        """End the SuperLink and start it again on its database; ``suddenly`` without asking it to end first.

        Runs go on: ServerApps and SuperNodes keep asking until it answers again.
        """
        end([self._programs[_SUPERLINK]], grace=0 if suddenly else GRACE)
        self._start_superlink()

    def _named(self, site: str) -> Program:
        if site not in self.sites:
            raise SettingError(
                f"There is no site {site!r}.",
                "Only a site's SuperNode can be ended, paused or started again by this name.",
                f"Name one of {', '.join(self.sites)}.",
            )
        return self._programs[site]

    def _make_files(self) -> None:
        numbers = {name: f"site{number}" for number, name in enumerate(self.sites)}
        self._places = {_SUPERLINK: _SUPERLINK, _SUPEREXEC: _SUPEREXEC, **numbers}
        self.authority = certificates.make_authority(self.folder / "certificates", days=30)
        self.certificate = certificates.make_server_certificate(self.authority, self.folder / _SUPERLINK, days=30)
        self._secret = certificates.make_shared_secret(self.folder / _SUPERLINK)
        self._keys = {name: certificates.make_node_key(self.folder / numbers[name]) for name in self.sites}
        for name, site in self.sites.items():
            write_settings(self.folder / numbers[name] / "node.toml", site.config)
        self._port = free_port()

    def _home(self, place: str) -> Path:
        return self.folder / place / "home"

    def _environment(self, place: str) -> dict[str, str]:
        return environment(self._home(place), self._variables, local=True)

    def _start_superlink(self) -> None:
        command = superlink_command(
            self.certificate,
            self.authority.certificate,
            self._secret,
            database=self.folder / _SUPERLINK / "state.db",
            port=self._port,
        )
        self._start(_SUPERLINK, "The SuperLink", command).wait_for("Uvicorn running", _READY)

    def _register(self) -> None:
        self.control = Control(
            self.address, self.authority.certificate, self._home("control"), variables=self._environment("control")
        )
        asked = {name: self.control.registering(self._keys[name].public, name) for name in self.sites}
        self.nodes = {name: self.control.registered(begun) for name, begun in asked.items()}

    def _start_superexec(self) -> None:
        command = superexec_command(self.authority.certificate, self._secret, port=self._port)
        self._start(_SUPEREXEC, "The SuperExec", command)

    def _start_supernodes(self, names: Iterable[str]) -> None:
        started = []
        for name in names:
            command = supernode_command(
                self.address,
                self.authority.certificate,
                self._keys[name].private,
                config=self.folder / self._places[name] / "node.toml",
                port=free_port(),
            )
            started.append(self._start(name, f"The SuperNode of {name}", command))
        for program in started:
            program.wait_for("SuperNode ID:", _READY)

    def _start(self, name: str, title: str, command: list[str]) -> Program:
        program = Program(title, command, self._environment(self._places[name]), self.log_of(name))
        self._programs[name] = program
        write_numbers(self.folder / _NUMBERS, self._programs.values())
        return program


def _close(
    owner: int, programs: Mapping[str, Program], folder: Path, guard: subprocess.Popen[bytes], *, keep: bool, made: bool
) -> None:
    if os.getpid() != owner:
        # A copy of this process (fork) that ends: the federation is not its own.
        return
    end(programs.values())
    (folder / _NUMBERS).unlink(missing_ok=True)
    guard.communicate()
    if keep:
        return
    if made:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _remove_own(folder)


def _own_folder(folder: Path | None) -> Path:
    """The folder to work in, new or empty; what a broken session left in it is ended and removed."""
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="fedlab-flower-"))
    numbers = folder / _NUMBERS
    if numbers.is_file():
        end_written(numbers)
        _remove_own(folder)
    if folder.exists() and any(folder.iterdir()):
        raise SettingError(
            f"The folder {folder} is not empty.",
            "A federation's keys and databases must not be mixed up with anything else.",
            "Name a new or an empty folder, or leave it out.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def _remove_own(folder: Path) -> None:
    """Remove what a Loopback makes in ``folder``, and nothing else."""
    for path in list(folder.iterdir()):
        if _OWN.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _checked(sites: Iterable[Site]) -> list[Site]:
    sites = list(sites)
    names = [site.name for site in sites]
    twice = sorted(
        {name for name in names if names.count(name) > 1 or name in (_SUPERLINK, _SUPEREXEC) or not name.strip()}
    )
    if twice or not sites:
        raise SettingError(
            f"Sites cannot be named like this: {', '.join(map(repr, twice))}." if twice else "No site was given.",
            "Each site is a SuperNode of its own, found by its name.",
            'Give each site another name, and none "superlink" or "superexec".',
        )
    return sites
