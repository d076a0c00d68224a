"""Top-k: each owner sends the k numbers of its change that are largest.

Source: Stich, Cordonnier and Jaggi 2018, "Sparsified SGD with memory", definitions 2.1 and 2.2 and Algorithm 1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card, code
from fedlab_nb.compress.packed import NUMBER, Floats, Packed, check_feedback, check_share, kept, read


@dataclass(frozen=True, repr=False)
class Sparse(Packed):
    """k of d numbers and their places: kind, width, d; then the places; then k numbers of 4 bytes.

    With width 0 the places are one bit for each of the d numbers; with width 1, 2 or 4 they are how many numbers were
    left out before each one that was kept, in so many bytes each. Of these, the shortest that fits is taken.
    """

    KIND: ClassVar[int] = 1
    HEAD: ClassVar[struct.Struct] = struct.Struct("<BBI")

    @classmethod
    def pack(cls, change: Floats, places: NDArray[np.intp]) -> Sparse:
        """The numbers of ``change`` (d,) at ``places`` (k,), in ascending order."""
        left_out = np.diff(places, prepend=-1) - 1
        most = int(left_out.max(initial=0))
        width = next(w for w in (1, 2, 4) if most < 256**w)
        if -(-len(change) // 8) <= width * len(places):
            width, chosen = 0, np.zeros(len(change), dtype=bool)
            chosen[places] = True
            coded = np.packbits(chosen).tobytes()
        else:
            coded = left_out.astype(f"<u{width}").tobytes()
        return cls(cls.HEAD.pack(cls.KIND, width, len(change)) + coded + change[places].astype(NUMBER).tobytes())

    @property
    def size(self) -> int:
        """The number d of coordinates of the change that was packed."""
        return int(self._head[2])

    def restore(self) -> Floats:
        """The change (d,), with zeros where nothing was sent."""
        places, begin = self._places()
        change = np.zeros(self.size)
        change[places] = self._numbers(begin)
        return change

    def _places(self) -> tuple[NDArray[np.intp], int]:
        """Where the numbers belong, and how many bytes say so."""
        width, size, body = self._head[1], self.size, self._body()
        if width == 0:
            begin = -(-size // 8)
            bits = np.unpackbits(np.frombuffer(body[:begin], np.uint8))
            places = np.flatnonzero(bits)
        else:
            begin = len(body) // (width + 4) * width
            places = np.cumsum(np.frombuffer(body[:begin], f"<u{width}").astype(np.int64) + 1) - 1
        if len(places) and places[-1] >= size:
            raise self._damaged("names a place that its change does not have")
        return places, begin

    def _check_body(self) -> None:
        width, length = self._head[1], len(self._body())
        if width == 0:
            begin = -(-self.size // 8)
            ones = int(np.unpackbits(np.frombuffer(self._body()[:begin], np.uint8)).sum())
            fits = length == begin + 4 * ones
        else:
            fits = width in (1, 2, 4) and length % (width + 4) == 0
        if not fits:
            raise self._damaged("is shorter or longer than it says")


@dataclass(frozen=True)
class TopK:
    """The k = ``share`` times d numbers of a change (d,) with the largest sizes, and zeros for the others.

        |C(x) - x|^2 <= (1 - k/d) |x|^2

    With ``feedback`` (the default) an owner keeps what was not sent, and adds it to its next change: nothing is lost,
    it comes later. Without it, small numbers that always point the same way are never heard.

        sent = C(change + memory),   memory <- change + memory - sent

    Which numbers an owner chose is readable and follows from its rows: it does not go with encryption. Each number
    that is sent takes 4 bytes, as a 32-bit number, and 1 or 2 more for its place.

    Source: Stich et al. 2018, definition 2.1 (k-contraction), definition 2.2 (top-k), Algorithm 1 (memory).

    >>> packed = TopK(share=0.5).compress(np.array([0.5, -3.0, 2.0, 0.25]))
    >>> packed.restore()
    array([ 0., -3.,  2.,  0.])
    >>> packed
    Sparse(4 numbers in 15 bytes)
    """

    share: float
    feedback: bool = True
    needs: ClassVar[tuple[str, ...]] = ("chosen coordinates",)
    unbiased: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_share("TopK", self.share)
        check_feedback("TopK", self.feedback)

    def compress(self, change: Floats, rng: np.random.Generator | None = None) -> Sparse:  # noqa: ARG002 - as all are
        """The change (d,), packed; nothing here is drawn by chance."""
        change = read(self, change)
        k = kept(self.share, len(change))
        largest = np.argpartition(-np.abs(change), k - 1)[:k] if len(change) else np.zeros(0, dtype=np.intp)
        return Sparse.pack(change, np.sort(largest))

    def _repr_html_(self) -> str:
        rows = [
            ("Numbers sent", f"the {self.share:.3g} of them that are largest in size"),
            ("What is not sent", "is added to the owner's next change" if self.feedback else "is lost"),
            ("Error feedback", code("sent = C(change + memory);  memory ← change + memory − sent")),
        ]
        return card("Top-k", rows, "Which numbers were chosen is readable: it does not go with encryption.")
