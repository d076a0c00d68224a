"""signSGD: each owner sends one bit for each number, and the majority decides.

Source: Bernstein, Wang, Azizzadenesheli and Anandkumar 2018, "signSGD: compressed optimisation for non-convex
problems": distributed training by majority vote.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fedlab_nb.cards import card, code
from fedlab_nb.compress.packed import Floats, Packed, read
from fedlab_nb.settings import check_setting, is_real


@dataclass(frozen=True, repr=False)
class Signs(Packed):
    """d signs: kind, d; then one bit for each number, 1 for plus."""

    KIND: ClassVar[int] = 4
    HEAD: ClassVar[struct.Struct] = struct.Struct("<BI")

    @property
    def size(self) -> int:
        """The number d of coordinates of the change that was packed."""
        return int(self._head[1])

    def restore(self) -> Floats:
        """The signs (d,): 1.0 and -1.0."""
        plus = np.unpackbits(np.frombuffer(self._body(), np.uint8), count=self.size)
        return plus.astype(np.float64) * 2.0 - 1.0

    def _check_body(self) -> None:
        if len(self._body()) != -(-self.size // 8):
            raise self._damaged("is shorter or longer than it says")


@dataclass(frozen=True)
class SignSGD:
    """The signs of a change (d,) as one bit each; the server moves each weight by ``step`` the way most owners point.

        sent_i = sign(x_i),   w <- w + step * sign(sum_i sent_i)

    Each owner has one vote, however many rows it has; where votes are even the weight stays. A number that is
    exactly zero votes by a coin. How long a change was is lost, so that there is no error feedback.

    Source: Bernstein et al. 2018, distributed training by majority vote, whose delta is the step.

    >>> vote = SignSGD(step=0.01)
    >>> rng = np.random.default_rng(0)
    >>> sent = [vote.compress(np.array(change), rng) for change in ([0.5, -2.0], [0.1, -9.0], [-7.0, 1.0])]
    >>> vote.majority(sum(packed.restore() for packed in sent))
    array([ 0.01, -0.01])
    """

    step: float
    needs: ClassVar[tuple[str, ...]] = ("signs",)
    feedback: ClassVar[bool] = False
    unbiased: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_setting(
            "SignSGD",
            "step",
            self.step,
            fits=is_real(self.step, above=0.0) and math.isfinite(self.step),
            wanted="a finite number above zero",
            why="It is how far each weight moves in a round.",
            example="0.001",
        )

    def compress(self, change: Floats, rng: np.random.Generator) -> Signs:
        """The signs of the change (d,), packed; ``rng`` tosses the coin for zeros. Each owner has one of its own."""
        change = read(self, change)
        plus = np.where(change == 0.0, rng.random(len(change)) < 0.5, change > 0.0)
        return Signs(Signs.HEAD.pack(Signs.KIND, len(change)) + np.packbits(plus).tobytes())

    def majority(self, total: Floats) -> Floats:
        """The server's step (d,) from the sum over owners (d,) of their signs, which may have been encrypted."""
        return self.step * np.sign(total)

    def _repr_html_(self) -> str:
        rows = [
            ("The formula", code("w ← w + step · sign(Σ sign(x_i))")),
            ("Step", f"{self.step:g}"),
            ("Bits a number", "1 instead of 32"),
        ]
        return card("signSGD with majority vote", rows, "Each owner has one vote, however many rows it has.")
