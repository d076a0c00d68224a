"""QSGD: each number is rounded by chance to one of a few levels, so that the average stays right.

Source: Alistarh, Grubic, Li, Tomioka and Vojnovic 2017, "QSGD: communication-efficient SGD via gradient quantization
and encoding", section 3.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card, code
from fedlab_nb.compress.packed import LARGEST, Floats, Packed, read
from fedlab_nb.settings import check_setting, is_whole

MOST_LEVELS = 32_767


@dataclass(frozen=True, repr=False)
class Quantised(Packed):
    """d whole numbers from -s to s, and what s stands for: kind, d, s, norm; then as few bits for each as hold them."""

    KIND: ClassVar[int] = 3
    HEAD: ClassVar[struct.Struct] = struct.Struct("<BIHf")

    @classmethod
    def pack(cls, signed: NDArray[np.int64], levels: int, norm: float) -> Quantised:
        """Whole numbers ``signed`` (d,) from -levels to levels; levels stand for the norm."""
        width = _width(levels)
        pairs = (signed + levels).astype(">u2").view(np.uint8).reshape(-1, 2)
        bits = np.unpackbits(pairs, axis=1)[:, 16 - width :]
        return cls(cls.HEAD.pack(cls.KIND, len(signed), levels, norm) + np.packbits(bits).tobytes())

    @property
    def size(self) -> int:
        """The number d of coordinates of the change that was packed."""
        return int(self._head[1])

    def restore(self) -> Floats:
        """The change (d,): norm * whole number / s."""
        _, size, levels, norm = self._head
        width = _width(levels)
        bits = np.zeros((size, 16), dtype=np.uint8)
        coded = np.frombuffer(self._body(), np.uint8)
        bits[:, 16 - width :] = np.unpackbits(coded, count=size * width).reshape(size, width)
        signed = np.packbits(bits, axis=1).view(">u2").ravel().astype(np.int64) - levels
        if (signed > levels).any():
            raise self._damaged("holds a level that there is not")
        restored: Floats = signed * (norm / levels)
        return restored

    def _check_body(self) -> None:
        _, size, levels, norm = self._head
        fits = 1 <= levels <= MOST_LEVELS and 0.0 <= norm <= LARGEST
        if not fits or len(self._body()) != -(-size * _width(levels) // 8):
            raise self._damaged("is shorter or longer than it says, or has impossible levels")


@dataclass(frozen=True)
class QSGD:
    """A change (d,) on s = ``levels`` levels of its norm: sign, level and one norm instead of d 32-bit numbers.

        Q(x)_j = |x| sign(x_j) l_j / s,   l_j = |x_j| s / |x| rounded up or down by chance, so that E Q(x) = x
        E|Q(x) - x|^2 <= min(d / s^2, sqrt(d) / s) |x|^2

    Each number takes as few bits as 2 s + 1 values need (s = 1: 2 bits, s = 7: 4, s = 127: 8). The paper also
    codes small levels in fewer bits than large ones, which is not done here. The rounding is by chance and right on
    average, so that there is no error feedback; with few levels and many numbers it is mostly noise.

    Source: Alistarh et al. 2017, section 3.1 and lemma 3.1.

    >>> packed = QSGD(levels=7).compress(np.array([3.0, 0.0, -4.0]), np.random.default_rng(0))
    >>> packed
    Quantised(3 numbers in 13 bytes)
    """

    levels: int
    needs: ClassVar[tuple[str, ...]] = ("quantised updates",)
    feedback: ClassVar[bool] = False
    unbiased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_setting(
            "QSGD",
            "levels",
            self.levels,
            fits=is_whole(self.levels, 1) and self.levels <= MOST_LEVELS,
            wanted=f"a whole number from 1 to {MOST_LEVELS:,}",
            why="It is the number of levels, beside zero, that the size of a number is rounded to.",
            example="7, for 4 bits a number",
        )

    def compress(self, change: Floats, rng: np.random.Generator) -> Quantised:
        """The change (d,), packed; ``rng`` decides which numbers are rounded up. Each owner has one of its own.

        Raises:
            RoundError: also where the norm, not only a number, is beyond the range of 32 bits.
        """
        change = read(self, change)
        norm = float(read(self, np.array([np.linalg.norm(change)]))[0])
        # The norm that crosses, rounded upwards, is the one that is reckoned with: so the average is right to the end.
        sent = np.float32(norm)
        if sent < norm:
            sent = np.nextafter(sent, np.float32(np.inf))
        scaled = np.abs(change) * (self.levels / float(sent)) if sent > 0 else np.zeros_like(change)
        floor = np.floor(scaled)
        up = rng.random(len(change)) < scaled - floor
        whole = np.minimum(floor + up, self.levels) * np.sign(change)
        return Quantised.pack(whole.astype(np.int64), self.levels, float(sent))

    def _repr_html_(self) -> str:
        rows = [
            ("The formula", code("Q(x)_j = |x| · sign(x_j) · l_j / s")),
            ("Levels s", f"{self.levels:,}, beside zero"),
            ("Bits a number", f"{_width(self.levels)} instead of 32"),
        ]
        return card("QSGD: rounded to a few levels", rows, "Rounded by chance, so that the average stays right.")


def _width(levels: int) -> int:
    """Bits for a whole number from 0 to 2 * levels."""
    return (2 * levels).bit_length()
