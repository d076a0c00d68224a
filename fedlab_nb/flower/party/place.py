"""Where the process of one party of one run is found on its machine: a folder that only its user can enter."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fedlab_nb.errors import SettingError

# The first byte of what is handed over says what it is: who are you; do this; it is over.
HELLO, ORDERS, END = b"h", b"o", b"e"
# The program of a party's own process; the last thing it is told is the number of its SuperNode's process.
PARTY = "fedlab_nb.flower.party.process"


def flower_version() -> str:
    """The first two numbers of Flower's version here, in which messages are understood; "" without Flower."""
    try:
        return ".".join(version("flwr").split(".")[:2])
    except PackageNotFoundError:
        return ""


class Place:
    """The folder of the process of the party with these ``settings`` in the ``run`` of this name."""

    def __init__(self, settings: Path, run: str) -> None:
        self.settings, self.run = settings.resolve(), run
        name = hashlib.sha256(f"{self.settings}\n{run}".encode()).hexdigest()[:20]
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        self.folder = Path(tempfile.gettempdir()) / f"fedlab-{user}" / name
        self.key, self.pid, self.log = (self.folder / what for what in ("key", "pid", "log"))

    @property
    def address(self) -> str:
        """What the process listens at."""
        return rf"\\.\pipe\fedlab-{self.folder.name}" if os.name == "nt" else str(self.folder / "line")

    def make(self) -> None:
        """Make the folder anew, for this user alone, with a fresh key in it.

        Raises:
            SettingError: another user could take its place.
        """
        self.check()
        self.clear()
        while True:
            self.folder.parent.mkdir(mode=0o700, exist_ok=True)
            self.check()
            with suppress(FileNotFoundError):  # whoever leaves last may take the folder of all away just now
                self.folder.mkdir(mode=0o700)
                break
        self.key.touch(mode=0o600)
        self.key.write_bytes(secrets.token_bytes(32))

    def check(self) -> None:
        """Refuse folders that another user may enter, or has put here: it could take the place of this process.

        Raises:
            SettingError.
        """
        for folder in (self.folder.parent, self.folder):
            if not hasattr(os, "getuid") or not os.path.lexists(folder):
                continue
            facts = folder.lstat()
            if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
                raise SettingError(
                    f"The temporary folder {folder.name!r} is not this user's alone.",
                    "Whoever can enter it could take the place of this party's process.",
                    "Remove it, or set TMPDIR to a folder of your own before you start the SuperNode.",
                )

    def clear(self) -> None:
        """Remove the folder and what is in it; and the folder of all parties of this user, if that was the last."""
        for path in (self.folder / "line", self.key, self.pid, self.log):
            path.unlink(missing_ok=True)
        if self.folder.is_dir():
            self.folder.rmdir()
        with suppress(OSError):  # another party is there, or nobody ever was
            self.folder.parent.rmdir()
