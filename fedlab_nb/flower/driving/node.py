"""The ClientApp at the notebook's machine: it passes a question on to the notebook, and its wish back to the server.

No process is started for it: where no notebook listens, there are no wishes, and it says so at once.
"""

from __future__ import annotations

import tempfile
import tomllib
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection
from pathlib import Path

from fedlab_nb.flower.driving.words import HOLD, NOTEBOOK, WISHES, Question, Wish
from fedlab_nb.flower.party.place import Place
from fedlab_nb.flower.party.relay import connected

# So much longer than a notebook keeps a question does its node wait: for a kernel that stands still.
_SLACK = 15.0


def is_notebook(settings: Path) -> bool:
    """Whether these are the settings of a notebook, and not of a party with rows or keys."""
    with suppress(OSError, ValueError):
        return tomllib.loads(settings.read_text(encoding="utf-8")).get("role") == NOTEBOOK
    return False


def answered(settings: Path, run: str, app: Path, data: bytes) -> bytes:
    """The reply to what came for the notebook: what it wishes, or who it is."""
    if data[:1] == WISHES:
        return _wish(data, run)
    from fedlab_nb.flower.party.party import Party  # heavy, and needed once a run

    return Party(settings, app).reply(data)


def place_of(agreement: str, run: str) -> Place:
    """Where a notebook listens for the questions of a run: found by the digest of its agreement and its number."""
    return Place(Path(tempfile.gettempdir(), f"{NOTEBOOK} {agreement}"), run)


def reached(place: Place) -> Connection | None:
    """A line to the notebook that listens there; None if none does."""
    try:
        return connected(place)
    except (AuthenticationError, EOFError):  # it has just let go, or another one has just come
        return None


def _wish(data: bytes, run: str) -> bytes:
    connection = reached(place_of(Question.read(data[1:]).agreement, run))
    if connection is None:
        return Wish().data
    with connection, suppress(EOFError, OSError):
        connection.send_bytes(data)
        if connection.poll(HOLD + _SLACK):
            return connection.recv_bytes()
    return Wish().data
