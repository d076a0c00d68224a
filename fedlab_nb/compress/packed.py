"""What all compressors share: real bytes that can be unpacked alone, and the checks on both sides of the wire."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card
from fedlab_nb.errors import RoundError, SettingError
from fedlab_nb.settings import check_setting, is_real
from fedlab_nb.units import bytes_text

Floats = NDArray[np.float64]

LARGEST = float(np.finfo(np.float32).max)
# Each number is sent as a 32-bit float, least significant byte first.
NUMBER = np.dtype("<f4")


@dataclass(frozen=True, repr=False)
class Packed(ABC):
    """A compressed change: the very bytes that cross, from which alone it is restored.

    The first bytes say what follows (``HEAD``, as ``struct`` reads it): the kind, the number d of coordinates, and
    what else the kind needs.

    Raises:
        RoundError: bytes that are not of this kind.
    """

    payload: bytes
    KIND: ClassVar[int]
    HEAD: ClassVar[struct.Struct]

    def __post_init__(self) -> None:
        if len(self.payload) < self.HEAD.size or self.payload[0] != self.KIND:
            raise self._damaged("does not begin as it should")
        self._check_body()

    @classmethod
    def from_bytes(cls, payload: bytes, size: int | None = None) -> Self:
        """What was received, checked; with the ``size`` d that the receiver expects, no other one is let in.

        Raises:
            RoundError: bytes that are damaged, or of another size.
        """
        packed = cls(bytes(payload))
        if size is not None and packed.size != size:
            raise packed._damaged(f"is of {packed.size:,} numbers, not of {size:,}")
        return packed

    @property
    @abstractmethod
    def size(self) -> int:
        """The number d of coordinates of the change that was packed."""

    @abstractmethod
    def restore(self) -> Floats:
        """The change (d,) as the receiver knows it.

        Raises:
            RoundError: bytes that are damaged.
        """

    @abstractmethod
    def _check_body(self) -> None:
        """Refuse a body of a wrong length."""

    @property
    def nbytes(self) -> int:
        """How many bytes cross."""
        return len(self.payload)

    @property
    def _head(self) -> tuple[Any, ...]:
        return self.HEAD.unpack_from(self.payload)

    def _body(self, begin: int = 0) -> bytes:
        return self.payload[self.HEAD.size + begin :]

    def _numbers(self, begin: int = 0) -> Floats:
        """The numbers (k,) from there to the end."""
        numbers = np.frombuffer(self._body(begin), NUMBER).astype(np.float64)
        if not np.isfinite(numbers).all():
            raise self._damaged("holds a number that is not finite")
        return numbers

    def _damaged(self, what: str) -> RoundError:
        return RoundError(
            "server",
            "update",
            f"A packed update ({type(self).__name__}, {len(self.payload):,} bytes) {what}.",
            "It would be restored to something that no owner sent.",
            "Let the owner send it again, or leave it out of this round.",
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size:,} numbers in {self.nbytes:,} bytes)"

    def _repr_html_(self) -> str:
        rows = [
            ("Numbers before packing", f"{self.size:,}, {bytes_text(4 * self.size)} as 32-bit numbers"),
            ("Bytes that cross", bytes_text(self.nbytes)),
        ]
        return card("A packed update", rows, "Its numbers are not shown here; .restore() gives them to the receiver.")


def read(compressor: object, change: Floats) -> Floats:
    """The change (d,) that is to be packed.

    Raises:
        SettingError: what is not a vector.
        RoundError: a number that is not finite, or beyond the range of 32 bits.
    """
    change = np.asarray(change, dtype=np.float64)
    if change.ndim != 1:
        raise SettingError(
            f"{type(compressor).__name__} was given a change of shape {change.shape}.",
            "It packs one owner's change, a vector of d numbers.",
            "Flatten it: change.ravel().",
        )
    if not np.abs(change).max(initial=0.0) <= LARGEST:
        raise RoundError(
            "owner",
            "update",
            f"A change that {type(compressor).__name__} was to pack has a number that is not finite, or that is beyond "
            "the range of 32-bit numbers.",
            "It cannot cross, and no model could hold it.",
            "Lower the learning rate: the training diverged.",
        )
    return change


def kept(share: float, size: int) -> int:
    """How many of ``size`` numbers a share is: the nearest whole number, and one at least.

    >>> kept(0.1, 1234), kept(0.1, 3), kept(0.1, 0)
    (123, 1, 0)
    """
    return min(max(round(share * size), 1), size)


def check_share(name: str, share: object) -> None:
    """Refuse a share of numbers to keep that is not above 0 and at most 1."""
    check_setting(
        name,
        "share",
        share,
        fits=is_real(share, above=0.0, most=1.0),
        wanted="a number above 0 and at most 1",
        why="It is the share of the numbers of a change that are sent.",
        example="0.1",
    )


def check_feedback(name: str, feedback: object) -> None:
    """Refuse anything but True and False."""
    check_setting(
        name,
        "feedback",
        feedback,
        fits=isinstance(feedback, bool),
        wanted="True or False",
        why="It says whether an owner adds what was not sent to its next change.",
        example="True",
    )
