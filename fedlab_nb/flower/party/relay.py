"""What Flower's short-lived process does: hand the bytes of a message over to the party's own, and take its reply back.

It loads nothing else: a new one starts for every message.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Client, Connection
from pathlib import Path

from fedlab_nb.errors import DeploymentError, SettingError
from fedlab_nb.flower.party.place import PARTY, Place

# How long a process may take until it listens, in seconds: it loads packages and rows.
START_WAIT = 120.0
_TICK = 0.05


def handed_over(place: Place, app: Path, data: bytes) -> bytes:
    """The reply of the party's process to ``data``, which is started if it is not there.

    What the process has to say to who runs the site is printed: Flower passes it on to the log of the SuperNode.
    ``app`` is the folder of the app, with the agreement in it.

    Raises:
        SettingError: the process could not start.
        DeploymentError: it ended before it answered.
    """
    connection = connected(place) or _started(place, app)
    with connection:
        try:
            connection.send_bytes(data)
            words, reply = connection.recv_bytes().decode(), connection.recv_bytes()
        except (EOFError, ConnectionError):
            raise DeploymentError(
                "The process of this party ended while it worked.",
                "What it was asked for may be done or not, and its keys of this run are gone.",
                "Look whether this machine has enough memory; the next message starts a new process.",
            ) from None
    if words:
        print(words, flush=True)  # noqa: T201
    return reply


def connected(place: Place) -> Connection | None:
    """A line to the process that listens at ``place``; None if none does."""
    place.check()
    try:
        return Client(place.address, authkey=place.key.read_bytes())
    except (FileNotFoundError, ConnectionError):
        return None


def _started(place: Place, app: Path) -> Connection:
    place.make()
    command = [sys.executable, "-m", PARTY, str(place.settings), place.run, str(app)]
    with place.log.open("wb") as log:
        process = subprocess.Popen(
            [*command, str(_supernode())], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    until = time.monotonic() + START_WAIT
    while time.monotonic() < until and process.poll() is None:
        if place.pid.exists() and (connection := connected(place)) is not None:
            return connection
        time.sleep(_TICK)
    words = place.log.read_text(errors="replace").strip().splitlines()
    raise SettingError(
        f"The process of this party did not start ({words[-1] if words else 'it says nothing'}).",
        "Rows, keys and the vault are there; without it the party can do nothing.",
        f"Look at {place.log.name} in the party's temporary folder, and at the settings {place.settings.name}.",
    )


def _supernode() -> int:
    """The number of the SuperNode's process, with which the party's ends; 0 if none is above this one."""
    import psutil

    for above in psutil.Process().parents():
        with suppress(psutil.Error):
            if any("supernode" in part for part in above.cmdline()[:2]):
                return int(above.pid)
    return 0
