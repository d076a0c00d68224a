"""What lies in another process's memory: its numbers and its text, as root or the same user may read them on Linux."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

_PIECE, _OVERLAP = 1 << 24, 64


def readable(pid: int) -> Iterator[bytes]:
    """All that a process has written to memory, in pieces that overlap and begin at whole words."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, _, _, inode, *name = line.split(maxsplit=5)
            # A file that is only read holds what the file holds: programs, no rows.
            if "r" not in rights or (inode != "0" and "w" not in rights) or name[:1] in (["[vvar]"], ["[vsyscall]"]):
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            for at in range(start, end, _PIECE):
                try:
                    memory.seek(at)
                    yield memory.read(min(_PIECE + _OVERLAP, end - at))
                except OSError:  # it was given back meanwhile
                    continue


class Needles:
    """What is looked for: ``words`` are numbers of eight bytes, ``texts`` any bytes."""

    def __init__(self, words: Iterable[bytes], texts: Iterable[bytes] = ()) -> None:
        self._words = np.unique(np.frombuffer(b"".join(words), dtype=np.uint64))
        self._texts = tuple(texts)
        bits = np.zeros(1 << 16, dtype=bool)
        bits[self._words & np.uint64(0xFFFF)] = True
        self._low = bits

    def __len__(self) -> int:
        return len(self._words) + len(self._texts)

    def found_in(self, data: bytes, *, step: int) -> int:
        """How many of them there are in ``data``, where a number may begin at every ``step``-th byte."""
        found = sum(text in data for text in self._texts)
        for begin in range(0, 8, step):
            whole = (len(data) - begin) // 8
            if whole > 0:
                words = np.frombuffer(data, dtype=np.uint64, count=whole, offset=begin)
                likely = words[self._low[words & np.uint64(0xFFFF)]]
                at = np.searchsorted(self._words, likely)
                found += np.unique(likely[self._words[np.minimum(at, len(self._words) - 1)] == likely]).size
        return found

    def found_at(self, pid: int) -> int:
        """How many there are in the memory of a process, each counted once for each piece that has it."""
        return sum(self.found_in(piece, step=4) for piece in readable(pid))
