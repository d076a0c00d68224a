"""The laws of a compressor, whoever wrote it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.compress import Compressor
from fedlab_nb.contracts.report import Broken, Law, Report, check_needs, examine
from fedlab_nb.parties.matrix import NEEDS

Floats = NDArray[np.float64]

SIZE = 60
DRAWS = 1000
# Numbers cross as 32-bit ones at best.
CLOSE = 1e-6


def check_compressor(compressor: Compressor) -> Report:
    """Whether a compressor keeps its laws, tried on made-up changes.

    ``compress(change, rng)`` gives an object with ``payload`` (the bytes that cross), ``nbytes`` (how many),
    ``restore()`` (the change (d,) as the receiver knows it) and the class method ``from_bytes(payload)``. A compressor
    says what it needs beyond a sum (``needs = ()`` for nothing), and whether an owner adds what was lost to its next
    change (``feedback``); it may say ``unbiased = True`` (right on average). Both are held against what it does.

    >>> from fedlab_nb.compress import TopK
    >>> check_compressor(TopK(share=0.1))
    Report(the compressor TopK(share=0.1, feedback=True): all 9 laws hold)
    """
    name = compressor.__name__ if inspect.isclass(compressor) else repr(compressor)
    case = _Case(compressor)
    laws: list[tuple[str, Callable[[], None]]] = [
        ("compress(change, rng) gives bytes that restore d finite numbers.", case.shape),
        ("It says what it needs, in known names, and whether there is error feedback.", case.says),
        ("The bytes alone restore the same numbers.", case.bytes_alone),
        ("nbytes is the number of bytes that cross.", case.count),
        ("It leaves the change that it is given as it is.", case.inputs),
        ("From equal random numbers it gives equal bytes; chance comes from rng only.", case.again),
        ("On average it points the way of the change.", case.direction),
        ("What calls itself unbiased is right on average.", case.average),
        ("With error feedback, less is lost than was to be sent.", case.contraction),
    ]
    return examine(f"the compressor {name}", [Law(*law) for law in laws])


@dataclass(frozen=True)
class _Case:
    """A compressor, and the made-up change that it is tried on."""

    compressor: Any

    @property
    def change(self) -> Floats:
        """The same made-up change (d,) each time, in a fresh array: few numbers are large, two are zero."""
        rng = np.random.default_rng(5)
        change = rng.normal(size=SIZE) * np.exp(rng.normal(size=SIZE))
        change[[3, 40]] = 0.0
        return change

    def packed(self, draw: int = 0) -> Any:
        """The change, packed with one draw."""
        return self.compressor.compress(self.change, np.random.default_rng(draw))

    def restored(self, draw: int = 0) -> Floats:
        """The change (d,), packed and restored with one draw."""
        found: Floats = self.packed(draw).restore()
        return found

    def shape(self) -> None:
        """An object with bytes, and a vector from it."""
        if inspect.isclass(self.compressor):
            name = self.compressor.__name__
            raise Broken(f"{name} is a class.", f"Pass an object of it: {name}(...).")
        if not callable(getattr(self.compressor, "compress", None)):
            raise Broken(
                f"A {type(self.compressor).__name__} has no compress method.", "Give it compress(change, rng)."
            )
        packed = self.packed()
        lacking = [word for word in ("payload", "nbytes", "restore", "from_bytes") if not hasattr(packed, word)]
        if lacking or not isinstance(packed.payload, bytes):
            what = f"has no {' and no '.join(lacking)}" if lacking else "has a payload that is not bytes"
            raise Broken(f"What it gives {what}.", "Give payload: bytes, nbytes, restore() and from_bytes(payload).")
        for size in (1, 2, 9, SIZE):
            rng = np.random.default_rng(size)
            found = self.compressor.compress(self.change[:size], rng).restore()
            if not isinstance(found, np.ndarray) or found.shape != (size,) or found.dtype.kind != "f":
                kind = f"shape {found.shape}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"
                raise Broken(f"A change of shape ({size},) was restored to {kind}.", "Restore d real numbers.")
            if not np.isfinite(found).all():
                raise Broken(f"A change of {size} numbers was restored to some that are not finite.", "Look for x / 0.")
        if not np.isfinite(self.compressor.compress(np.zeros(SIZE), np.random.default_rng(0)).restore()).all():
            raise Broken("A change of zeros was restored to numbers that are not finite.", "Treat a norm of 0 apart.")

    def says(self) -> None:
        """Known names, and a yes or no."""
        check_needs(getattr(self.compressor, "needs", None), list(NEEDS))
        feedback = getattr(self.compressor, "feedback", None)
        if not isinstance(feedback, bool):
            raise Broken(
                f"It has feedback={feedback!r}.",
                "Say feedback = True if an owner is to add what was lost to its next change, else feedback = False.",
            )

    def bytes_alone(self) -> None:
        """Through bytes and back."""
        packed = self.packed()
        received = type(packed).from_bytes(bytes(packed.payload))
        if not np.array_equal(received.restore(), packed.restore()):
            raise Broken(
                "From its bytes alone, other numbers were restored than at the sender.",
                "Put all that restoring needs into payload, and let restore() read nothing else.",
            )

    def count(self) -> None:
        """As many bytes as there are."""
        packed = self.packed()
        if packed.nbytes != len(packed.payload):
            raise Broken(
                f"nbytes is {packed.nbytes}, and the payload has {len(packed.payload)} bytes.",
                "Let nbytes be len(self.payload): what is counted is what crosses.",
            )

    def inputs(self) -> None:
        """The array is the same afterwards."""
        change = self.change
        self.compressor.compress(change, np.random.default_rng(0))
        if not np.array_equal(change, self.change):
            raise Broken("After the call, the change that it was given had other values.", "Work on change.copy().")

    def again(self) -> None:
        """Two calls, the same bytes."""
        if self.packed(1).payload != self.packed(1).payload:
            raise Broken(
                "Two calls with equally seeded rng gave different bytes.",
                "Draw from rng only, never from np.random; and keep nothing between calls.",
            )

    def direction(self) -> None:
        """Not away from the change, and not nothing."""
        mean = np.mean([self.restored(draw) for draw in range(DRAWS)], axis=0)
        if not mean @ self.change > 0.0:
            raise Broken("What was restored does not point the way of the change.", "Look at signs and places.")

    def average(self) -> None:
        """Seen from any side, within six standard errors."""
        if not getattr(self.compressor, "unbiased", False):
            return
        # Sums over all numbers: one number by itself may never be drawn, and would then show no spread.
        sides = np.vstack([self.change, np.random.default_rng(6).normal(size=(8, SIZE))])
        seen = np.array([sides @ self.restored(draw) for draw in range(DRAWS)])
        true = sides @ self.change
        allowed = 6.0 * seen.std(axis=0) / DRAWS**0.5 + CLOSE * np.abs(true).max()
        off = np.abs(seen.mean(axis=0) - true) > allowed
        if off.any():
            raise Broken(
                f"It says unbiased = True, and the average over {DRAWS:,} draws is off by more than chance allows.",
                "Multiply by what was left out (d/k), or round up with the right probability; or say unbiased = False.",
            )

    def contraction(self) -> None:
        """E|C(x) - x|^2 below |x|^2."""
        if getattr(self.compressor, "feedback", False) is not True:
            return
        lost = np.mean([((self.restored(draw) - self.change) ** 2).sum() for draw in range(DRAWS)])
        ratio = float(lost / (self.change**2).sum())
        if not ratio < 1.0:
            raise Broken(
                f"It says feedback = True, and what is lost is {ratio:.3g} times as large (squared) as the change.",
                "Memory would grow without end: send numbers unscaled, or say feedback = False.",
            )
