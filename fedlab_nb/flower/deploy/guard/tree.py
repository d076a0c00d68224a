"""Processes with all that they started: listed, stopped where they stand, ended by number.

Run as a script, this file is the guard of ``set_guard``; so it needs nothing of the package around it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

_GLANCE = 0.05
_PATIENCE = 10.0


def descendants(processes: Iterable[psutil.Process]) -> set[psutil.Process]:
    """All that ``processes`` started, and what these started."""
    found: set[psutil.Process] = set()
    for process in processes:
        try:
            found |= set(process.children(recursive=True))
        except psutil.Error:
            continue
    return found


def freeze(roots: set[psutil.Process]) -> list[psutil.Process]:
    """Let ``roots`` and all that they started stand still; afterwards none of them can start another."""
    stopped: set[psutil.Process] = set()
    waiting = {process for process in roots if lives(process)}
    while waiting:
        for process in waiting:
            tell(process, "suspend")
        stopped |= waiting
        waiting = {process for process in descendants(stopped) if lives(process)} - stopped
    return list(stopped)


def lives(process: psutil.Process) -> bool:
    """Whether the process has not ended; one that ended and was not yet asked for is a zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def tell(process: psutil.Process, what: str) -> None:
    """``process.what()``, unless it is gone."""
    try:
        getattr(process, what)()
    except psutil.Error:
        return


def kill(processes: Iterable[psutil.Process]) -> None:
    """End ``processes`` without asking, and return when they are gone."""
    processes = list(processes)
    for process in processes:
        tell(process, "kill")
    limit = time.monotonic() + _PATIENCE
    while any(lives(process) for process in processes) and time.monotonic() < limit:
        time.sleep(_GLANCE)


def end_written(file: Path) -> None:
    """End the processes that ``file`` names, with all that they started, and remove it.

    A number alone could meanwhile belong to another process; with its moment of creation it cannot.
    """
    roots = set()
    for pid, created in json.loads(file.read_text("utf-8")):
        try:
            process = psutil.Process(int(pid))
            if process.create_time() == created:
                roots.add(process)
        except psutil.Error:
            continue
    kill(freeze(roots))
    file.unlink()


def set_guard(file: Path, folder: Path | None = None) -> subprocess.Popen[bytes]:
    """A process that waits until this one is gone, however it went, calls ``end_written(file)`` and removes ``folder``.

    Remove ``file`` and close its stdin to dismiss it.
    """
    return subprocess.Popen(
        [sys.executable, __file__, str(file), str(folder or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _stand_guard() -> None:
    """What the guard does: wait until the other end of its stdin is gone."""
    sys.stdin.read()
    file, folder = Path(sys.argv[1]), sys.argv[2]
    if file.is_file():
        end_written(file)
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _stand_guard()
