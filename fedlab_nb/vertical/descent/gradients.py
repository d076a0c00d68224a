"""How an owner comes by its own gradient, the sum over rows of residual times column, while nobody sees a residual.

Who learns what, if all follow the protocol:
    each owner    its own gradient, at every step, exactly. (So it must have fewer inputs than there are rows in a step,
        and steps must be over the same rows again and again: gradients could otherwise be solved for residuals, which
        tell labels. With few rows for each input, labels of two values may be guessed from them all the same.) Where
        pieces have no bound, by which power of two each giver divided its own.
    the owners that seal, and whoever opens    nothing: what is opened is padded by the owner whose gradient it is.
    the server    nothing here.
Whoever opens, together with the owner whose gradient it is, could open every residual's piece.

Source: Hardy et al. 2017, section 4 (a key holder, masked gradients); Chen et al. 2021, "When homomorphic encryption
marries secret sharing" (CAESAR), section 4 (two owners, each with a key of its own).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Opaque
from fedlab_nb.channel.products import ProductSession
from fedlab_nb.crypto import Sealed
from fedlab_nb.crypto.products import ProductPlan
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.parties.columns.fitting import check_products
from fedlab_nb.parties.columns.road import drop_keys, product_session
from fedlab_nb.vertical.descent.links import Link
from fedlab_nb.vertical.shared.meeting import Meeting, Mine

Floats = NDArray[np.float64]
Places = slice | NDArray[np.int64]

# What owners keep their columns (n, d) under, made ready for descent.
READY = "columns made ready"
BITS = 20
_RANDOM = "random numbers: each sum plus a pad that only the owner who multiplied knows"


@dataclass(frozen=True)
class Step:
    """How residuals are made, over which ``rows`` of those in common, for which output; ``label`` tells steps apart.

    ``key_holder`` says who opens: the key holder, or, with two owners, the one that sealed, under a key of its own.
    """

    link: Link
    places: Places
    rows: int
    output: int
    label: str
    key_holder: bool = True


def gradient(at: Meeting, step: Step, weights: Mapping[str, Floats], owner: str, width: int) -> Floats:
    """The sum over rows (width,) of residual times column, for ``owner`` to keep.

    ``weights`` has each owner's own (d, outputs), which only that owner's lines below use.

    Raises:
        RoundError, EncryptionError: nothing was released.
    """
    givers = [name for name in at.names if name != owner]
    opener = KEY_HOLDER if step.key_holder else givers[0]
    trip = _Trip(at, step, owner, width, tuple(givers), opener)
    try:
        scales = [trip.scale(giver, weights[giver]) for giver in givers]
        sealed = [
            at.send("residual pieces", partial(trip.seal, w=weights[giver], scale=scale), sender=giver, to=owner)
            for giver, scale in zip(givers, scales, strict=True)
        ]
        multiply = partial(trip.multiply, sealed=sealed, scales=scales, w=weights[owner])
        padded = at.send("padded gradient", multiply, sender=owner, to=opener)
        shown = trip.session.open_padded(trip.plan, padded, number=at.number, kind=trip.kind)
    except BaseException:
        drop_keys(at.federation)  # keys of sums that failed are not used again
        raise
    at.tell("padded gradient, opened", Opaque(shown, _RANDOM, plain_nbytes=8 * width), sender=opener, to=owner)
    return at.own("gradient", partial(trip.take, shown=shown, w=weights[owner]), at=owner)


def reach(at: Meeting, link: Link, weights: Mapping[str, Floats], places: Places, output: int) -> float:
    """How far partial scores reach, roughly, as all owners tell each other; 0 where that does not matter."""
    if not link.reach_of(np.zeros(1)):
        return 0.0
    told = []
    for name, to in zip(at.names, (*at.names[1:], at.names[0]), strict=True):

        def far(mine: Mine, w: Floats = weights[name]) -> Floats:
            return np.array([link.reach_of(with_ones(mine, at)[places] @ w[:, output])])

        told.append(float(at.send("reach of partial scores", far, sender=name, to=to)[0]))
    return max(told)


@dataclass(frozen=True)
class _Trip:
    """The work of one gradient, each method beside the rows of one owner."""

    at: Meeting
    step: Step
    owner: str
    width: int
    givers: tuple[str, ...]
    opener: str

    @property
    def kind(self) -> str:
        """What tells this gradient from the others of its round."""
        return f"gradient {self.step.label} of {self.owner}"

    @cached_property
    def session(self) -> ProductSession:
        """The keys in force."""
        scheme = check_products(self.at.federation.house.encrypt, "A gradient")
        return product_session(self.at.federation, scheme, self.at.number, self.opener)

    @cached_property
    def plan(self) -> ProductPlan:
        """All pieces and terms of a row stand below each other, as if they were so many rows."""
        return ProductPlan(
            scheme=self.session.scheme,
            rows=self.step.rows * (self._pieces + self.step.link.terms),
            left=1,
            right=self.width,
            left_bits=BITS,
            right_bits=BITS,
            senders=len(self.givers),
            padded=True,
        )

    def scale(self, giver: str, w: Floats) -> float:
        """The power of two that this owner divides its pieces by: told where they have no bound of their own."""
        if self.step.link.bounded:
            return 1.0
        found = self.at.send(
            "scale of pieces", lambda mine: np.array([_power(self._given(mine, w))]), sender=giver, to=self.owner
        )
        return float(found[0])

    def seal(self, mine: Mine, w: Floats, scale: float) -> Sealed:
        """At a giver: its piece and its terms of each row's residual, sealed."""
        column = self._given(mine, w).T.reshape(-1, 1) / scale
        return self.session.seal(
            self.plan, column, number=self.at.number, kind=self.kind, sender=mine.name, to=self.owner
        )

    def multiply(self, mine: Mine, sealed: Sequence[Sealed], scales: Sequence[float], w: Floats) -> Sealed:
        """At the owner whose gradient it is: what came, times its own terms and columns, added up and padded."""
        columns, terms = mine.memory[READY][self.step.places], self._terms(mine, w)
        ones = np.ones((self.step.rows, self._pieces))
        stacked = (np.hstack([ones, terms]).T[:, :, None] * columns).reshape(-1, self.width)
        # What one giver divided by more than another counts so much more; the largest comes back when pads come off.
        power = mine.memory["power"] = max(_power(stacked), 1.0) * max(scales)
        each = {s: self.session.factors(self.plan, stacked * (s / power), sender=self.owner) for s in {*scales}}
        made = self.session.multiply(
            self.plan,
            [(one, each[scale]) for one, scale in zip(sealed, scales, strict=True)],
            number=self.at.number,
            kind=self.kind,
            sender=self.owner,
        )
        mine.memory["pads"] = made.pads
        return made.sealed

    def take(self, mine: Mine, shown: bytes, w: Floats) -> Floats:
        """At the owner whose gradient it is: the pads come off, and what its own piece makes of it comes on."""
        sums = self.session.unpad(self.plan, shown, mine.memory.pop("pads"))[0] * mine.memory.pop("power")
        piece = self.step.link.piece(self._score(mine, w), self._labels(mine))
        if piece is not None:
            sums = sums + piece @ mine.memory[READY][self.step.places]
        return np.asarray(sums)

    @property
    def _pieces(self) -> int:
        """Whether givers send pieces beside their terms: with two owners, that of labels goes one way only."""
        return int(self.step.link.terms == 0 or self.owner != self.at.labels_at)

    def _given(self, mine: Mine, w: Floats) -> Floats:
        """The numbers (n, pieces + terms) of each row that a giver seals."""
        u = self._score(mine, w)
        piece = self.step.link.piece(u, self._labels(mine))
        terms = self._terms(mine, w)
        return np.hstack([piece[:, None], terms]) if self._pieces and piece is not None else terms

    def _terms(self, mine: Mine, w: Floats) -> Floats:
        return self.step.link.term(self._score(mine, w), labels=mine.name == self.at.labels_at)

    def _score(self, mine: Mine, w: Floats) -> Floats:
        found: Floats = with_ones(mine, self.at)[self.step.places] @ w[:, self.step.output]
        return found

    def _labels(self, mine: Mine) -> Floats | None:
        """The labels (n,) where they are: of several classes, whether it is this one."""
        if mine.name != self.at.labels_at:
            return None
        y = labels_of(mine)[self.step.places]
        return (y == self.step.output).astype(np.float64) if self.at.setup.task == "multiclass" else y


def with_ones(mine: Mine, at: Meeting) -> Floats:
    """An owner's inputs (n, d), and at the owner of the labels a column of ones beside them."""
    if mine.name != at.labels_at:
        return mine.X
    if "with ones" not in mine.memory:
        mine.memory["with ones"] = beside_ones(mine.X)
    found: Floats = mine.memory["with ones"]
    return found


def beside_ones(columns: Floats) -> Floats:
    """Columns (n, d + 1) with one of ones as the last: what an intercept is multiplied with."""
    return np.hstack([columns, np.ones((len(columns), 1))])


def labels_of(mine: Mine) -> Floats:
    """The labels (n,), read once."""
    if "labels" not in mine.memory:
        mine.memory["labels"] = mine.y
    found: Floats = mine.memory["labels"]
    return found


def _power(columns: Floats) -> float:
    """The power of two at or above the largest root mean square of a column, so that dividing by it is exact."""
    largest = float(np.sqrt(np.einsum("ij,ij->j", columns, columns).max(initial=0.0) / len(columns)))
    return float(2.0 ** np.ceil(np.log2(largest))) if largest > 0.0 else 1.0
