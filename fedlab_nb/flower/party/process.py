"""A party's own process: it lasts as long as the run, and holds rows, keys and vault; Flower's processes come and go.

For each message Flower starts a ClientApp in a new process. That one only hands the bytes over to this process, on the
same machine, and takes the reply back: so nothing is loaded twice, and no key is ever written down.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Listener
from pathlib import Path

from fedlab_nb.flower.party.party import Party
from fedlab_nb.flower.party.place import END, Place

_WATCH = 0.5


def main(settings: str, run: str, app: str, supernode: str) -> None:
    """Answer until told to end, until the SuperNode is gone, or until nothing was asked for long."""
    place = Place(Path(settings), run)
    party = Party(place.settings, Path(app))
    seen = [time.monotonic()]
    with Listener(place.address, authkey=place.key.read_bytes()) as listener:
        place.pid.write_text(str(os.getpid()))
        idle = party.idle_minutes * 60.0
        threading.Thread(target=_watch, args=(place, int(supernode), seen, idle), daemon=True).start()
        while True:
            with suppress(EOFError, OSError), listener.accept() as connection:
                data = connection.recv_bytes()
                seen[0] = float("inf")  # while it works it is not idle
                reply = party.reply(data)
                connection.send_bytes("\n".join(party.take_words()).encode())
                connection.send_bytes(reply)
                seen[0] = time.monotonic()
                if data[:1] == END:
                    break
    place.clear()


def _watch(place: Place, supernode: int, seen: list[float], idle: float) -> None:
    import psutil

    born = None
    with suppress(psutil.Error):
        born = psutil.Process(supernode).create_time() if supernode else None
    while True:
        time.sleep(_WATCH)
        gone = supernode and not _alive(supernode, born)
        if gone or time.monotonic() - seen[0] > idle:
            place.clear()
            os._exit(0)


def _alive(pid: int, born: float | None) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).create_time() == born)
    except psutil.Error:
        return False


if __name__ == "__main__":
    main(*sys.argv[1:])
