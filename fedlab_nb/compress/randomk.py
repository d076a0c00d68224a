"""Random-k: all owners send the same k numbers, drawn from a seed that they share.

Source: Stich, Cordonnier and Jaggi 2018, "Sparsified SGD with memory", definition 2.2 (rand-k); Wangni et al. 2018,
"Gradient sparsification for communication-efficient distributed optimization" (unbiased scaling).
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
class Drawn(Packed):
    """k of d numbers whose places follow from a seed: kind, seed, round, d; then k numbers of 4 bytes."""

    KIND: ClassVar[int] = 2
    HEAD: ClassVar[struct.Struct] = struct.Struct("<BQII")

    @property
    def size(self) -> int:
        """The number d of coordinates of the change that was packed."""
        return int(self._head[3])

    def restore(self) -> Floats:
        """The change (d,), with zeros where nothing was sent."""
        _, seed, number, size = self._head
        sent = self._numbers()
        change = np.zeros(size)
        change[_places(seed, number, size, len(sent))] = sent
        return change

    def _check_body(self) -> None:
        length = len(self._body())
        if length % 4 or length // 4 > self.size:
            raise self._damaged("is shorter or longer than it says")


@dataclass(frozen=True)
class RandomK:
    """k = ``share`` times d numbers of a change (d,), the same ones at all owners, and zeros for the others.

    The places are drawn anew in each round from a seed that all owners share, so that they tell nothing about rows,
    need not be sent, and can be added under encryption: each owner encrypts ``change[coordinates]``.

    With ``feedback`` (the default) an owner keeps what was not sent, and adds it to its next change; numbers are then
    sent as they are. Without it they are multiplied by d/k, so that on average over the draws nothing is missing.

        E|C(x) - x|^2 = (1 - k/d) |x|^2   with feedback,      E C(x) = x   without

    Source: Stich et al. 2018, definitions 2.1 and 2.2, Algorithm 1; Wangni et al. 2018.

    >>> RandomK(share=0.3).coordinates(seed=7, number=1, size=10)
    array([1, 6, 9])
    """

    share: float
    feedback: bool = True
    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_share("RandomK", self.share)
        check_feedback("RandomK", self.feedback)

    @property
    def unbiased(self) -> bool:
        """Whether the average over many draws is the change itself."""
        return not self.feedback

    def coordinates(self, seed: int, number: int, size: int) -> NDArray[np.intp]:
        """The places (k,) of round ``number``, of ``size`` d, in ascending order; equal for equal arguments."""
        return _places(seed, number, size, kept(self.share, size))

    def scale(self, size: int) -> float:
        """What sent numbers are multiplied by: 1 with error feedback, d/k without."""
        return 1.0 if self.feedback or not size else size / kept(self.share, size)

    def select(self, change: Floats, seed: int, number: int) -> Drawn:
        """The change (d,), packed, at the coordinates of round ``number`` from the shared ``seed``."""
        change = read(self, change)
        # Scaled numbers may be beyond 32 bits where the change was not.
        sent = read(self, change[self.coordinates(seed, number, len(change))] * self.scale(len(change)))
        head = Drawn.HEAD.pack(Drawn.KIND, seed, number, len(change))
        return Drawn(head + sent.astype(NUMBER).tobytes())

    def compress(self, change: Floats, rng: np.random.Generator) -> Drawn:
        """The change (d,), packed; the seed is drawn from ``rng``, which must be alike at all owners of a round."""
        return self.select(change, int(rng.integers(2**63)), 0)

    def _repr_html_(self) -> str:
        rest = "is added to the owner's next change" if self.feedback else "is made up for on average: sent times d/k"
        rows = [
            ("Numbers sent", f"a share of {self.share:.3g}, drawn from a seed that all owners share"),
            ("What is not sent", rest),
            ("Error feedback", code("sent = C(change + memory);  memory ← change + memory − sent")),
        ]
        return card("Random-k", rows, "All owners send the same numbers: it needs no more than a sum.")


def _places(seed: int, number: int, size: int, k: int) -> NDArray[np.intp]:
    """The k places with the smallest keys, which are raw random bits: those are the same under any version of numpy."""
    keys = np.random.PCG64([seed, number, size]).random_raw(size)
    places: NDArray[np.intp] = np.sort(np.argsort(keys, kind="stable")[:k])
    return places
