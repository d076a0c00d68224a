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
from fedlab_nb.places import here
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


def own_gradients(
    at: Meeting, steps: Sequence[Step], weights: Mapping[str, Floats], widths: Mapping[str, int]
) -> dict[str, list[Floats]]:
    """For each owner, to keep: the sums over rows (width,) of residual times column, one for each step.

    ``weights`` has each owner's own (d, outputs), which only that owner's lines below use; ``widths`` how many they
    are, which all know.

    Raises:
        RoundError, EncryptionError: nothing was released.
    """
    trips = [_Trip.of(at, step, name, widths[name]) for step in steps for name in at.names]
    try:
        scales = [{giver: trip.scale(giver, weights[giver]) for giver in trip.givers} for trip in trips]
        sealed = [
            [
                at.send("residual pieces", partial(trip.seal, w=weights[name], scale=scale), sender=name, to=trip.owner)
                for name, scale in each.items()
            ]
            for trip, each in zip(trips, scales, strict=True)
        ]
        padded = [
            at.send(
                "padded gradient",
                partial(trip.multiply, sealed=came, scales=[*each.values()], w=weights[trip.owner]),
                sender=trip.owner,
                to=trip.opener,
            )
            for trip, came, each in zip(trips, sealed, scales, strict=True)
        ]
        shown = [
            at.send("padded gradient, opened", partial(trip.open, padded=each), sender=trip.opener, to=trip.owner)
            for trip, each in zip(trips, padded, strict=True)
        ]
    except BaseException:
        drop_keys(at.federation)  # keys of sums that failed are not used again
        raise
    found: dict[str, list[Floats]] = {name: [] for name in at.names}
    for trip, each in zip(trips, shown, strict=True):
        take = partial(trip.take, shown=each, w=weights[trip.owner])
        found[trip.owner].append(at.own("gradient", take, at=trip.owner))
    return found


def reaches(at: Meeting, link: Link, weights: Mapping[str, Floats], places: Places, openers: Sequence[str]) -> Floats:
    """How far partial scores reach, roughly, for each output (outputs,); 0 where that does not matter.

    The owner of the labels hears it from the others, and tells the largest to them and to the ``openers``.
    """
    nothing = np.zeros(at.setup.outputs)
    if not link.reach_of(np.zeros(1)):
        return nothing

    def far(mine: Mine) -> Floats:
        scores = with_ones(mine, at)[places] @ weights[mine.name]
        return np.array([link.reach_of(scores[:, output]) for output in range(at.setup.outputs)])

    came = [at.send("reach of partial scores", far, sender=name, to=at.labels_at) for name in at.others]
    told = [
        at.send("reach of all", lambda mine: np.max([far(mine), *came], axis=0), sender=at.labels_at, to=name)
        for name in (*at.others, *openers)
    ]
    return here(told, nothing)


@dataclass(frozen=True)
class _Trip:
    """The work of one gradient, each method beside the rows of one owner."""

    at: Meeting
    step: Step
    owner: str
    width: int
    givers: tuple[str, ...]
    opener: str
    session: ProductSession

    @classmethod
    def of(cls, at: Meeting, step: Step, owner: str, width: int) -> _Trip:
        """The way of the gradient of ``owner``, which has so many numbers."""
        givers = tuple(name for name in at.names if name != owner)
        opener = KEY_HOLDER if step.key_holder else givers[0]
        scheme = check_products(at.federation.house.encrypt, "A gradient")
        return cls(at, step, owner, width, givers, opener, product_session(at.federation, scheme, at.number, opener))

    @property
    def kind(self) -> str:
        """What tells this gradient from the others of its round."""
        return f"gradient {self.step.label} of {self.owner}"

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

    def scale(self, giver: str, w: Floats) -> Floats:
        """The power of two (1,) that this owner divides its pieces by: told where they have no bound of their own."""
        if self.step.link.bounded:
            return np.ones(1)
        return self.at.send(
            "scale of pieces", lambda mine: np.array([_power(self._given(mine, w))]), sender=giver, to=self.owner
        )

    def seal(self, mine: Mine, w: Floats, scale: Floats) -> Sealed:
        """At a giver: its piece and its terms of each row's residual, sealed."""
        column = self._given(mine, w).T.reshape(-1, 1) / scale[0]
        return self.session.seal(
            self.plan, column, number=self.at.number, kind=self.kind, sender=mine.name, to=self.owner
        )

    def multiply(self, mine: Mine, sealed: Sequence[Sealed], scales: Sequence[Floats], w: Floats) -> Sealed:
        """At the owner whose gradient it is: what came, times its own terms and columns, added up and padded."""
        by = [float(scale[0]) for scale in scales]
        columns, terms = mine.memory[READY][self.step.places], self._terms(mine, w)
        ones = np.ones((self.step.rows, self._pieces))
        stacked = (np.hstack([ones, terms]).T[:, :, None] * columns).reshape(-1, self.width)
        # What one giver divided by more than another counts so much more; the largest comes back when pads come off.
        power = mine.memory[self.kind, "power"] = max(_power(stacked), 1.0) * max(by)
        each = {s: self.session.factors(self.plan, stacked * (s / power), sender=self.owner) for s in {*by}}
        made = self.session.multiply(
            self.plan,
            [(one, each[scale]) for one, scale in zip(sealed, by, strict=True)],
            number=self.at.number,
            kind=self.kind,
            sender=self.owner,
        )
        mine.memory[self.kind, "pads"] = made.pads
        return made.sealed

    def open(self, _: Mine | None, padded: Sealed) -> Opaque:
        """At the opener: random numbers."""
        shown = self.session.open_padded(self.plan, padded, number=self.at.number, kind=self.kind)
        return Opaque(shown, _RANDOM, plain_nbytes=8 * self.width)

    def take(self, mine: Mine, shown: Opaque, w: Floats) -> Floats:
        """At the owner whose gradient it is: the pads come off, and what its own piece makes of it comes on."""
        pads, power = mine.memory.pop((self.kind, "pads")), mine.memory.pop((self.kind, "power"))
        sums = self.session.unpad(self.plan, shown.data, pads)[0] * power
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
