"""What a residual is made of, owner by owner: so that sums of products can stand for a function of all scores.

A row's score u is the sum of the owners' partial scores, and its residual d what the model says less the label. Here
d = sum over owners j of piece_j + sum over k of term_k(label owner) * term_k(other owner): pieces and terms each from
what one owner has. The sum of d times a column is then a sum of products of two owners' numbers, row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# How far partial scores may reach, as owners tell each other; what reaches further is cut off. The first odd number of
# sines from there up is within .0065 of the sigmoid.
REACHES = (2.5, *(float(step * 2**double) for double in range(3) for step in (5, 7)), 40.0)


class Link(Protocol):
    """A residual in such pieces."""

    @property
    def curvature(self) -> float:
        """The steepest slope of the residual in the score: it bounds how long a safe step is."""

    @property
    def terms(self) -> int:
        """How many products of two owners there are in a residual; 0 where it is a sum of pieces, for any number."""

    @property
    def bounded(self) -> bool:
        """Whether pieces and terms are never above 1; else their owner tells by which power of two it divides them."""

    def reach_of(self, u: Floats) -> float:
        """How far this owner's partial scores ``u`` (n,) reach, roughly; 0 where it does not matter."""

    def reaching(self, reach: float) -> Link:
        """The same for partial scores that reach so far."""

    def piece(self, u: Floats, y: Floats | None) -> Floats | None:
        """The piece (n,) of an owner with partial scores ``u`` (n,); ``y`` where the labels are; None for zero."""

    def term(self, u: Floats, *, labels: bool) -> Floats:
        """The terms (n, terms) of one owner; ``labels`` for the owner of the labels."""

    def residual(self, u: Floats, y: Floats) -> Floats:
        """The whole residual (n,) of scores ``u``: what pooled columns would give."""


@dataclass(frozen=True)
class Identity:
    """d = u - y: least squares."""

    curvature: float = 1.0
    terms: int = 0
    bounded: bool = False

    def reach_of(self, u: Floats) -> float:  # noqa: ARG002 - one interface
        """It does not matter."""
        return 0.0

    def reaching(self, reach: float) -> Link:  # noqa: ARG002 - one interface
        """The same."""
        return self

    def piece(self, u: Floats, y: Floats | None) -> Floats | None:
        """The partial score, less the label where it is."""
        return u if y is None else u - y

    def term(self, u: Floats, *, labels: bool) -> Floats:  # noqa: ARG002 - one interface
        """None."""
        return np.zeros((len(u), 0))

    def residual(self, u: Floats, y: Floats) -> Floats:
        """Score less label."""
        return u - y


@dataclass(frozen=True)
class Straight:
    """d = u/4 + 1/2 - y: the sigmoid as a straight line, as good as its Taylor series of second order in the loss.

    Source: Hardy et al. 2017, "Private federated learning on vertically partitioned data via entity resolution and
    additively homomorphic encryption", section 4.1.
    """

    curvature: float = 0.25
    terms: int = 0
    bounded: bool = False

    def reach_of(self, u: Floats) -> float:  # noqa: ARG002 - one interface
        """It does not matter."""
        return 0.0

    def reaching(self, reach: float) -> Link:  # noqa: ARG002 - one interface
        """The same."""
        return self

    def piece(self, u: Floats, y: Floats | None) -> Floats | None:
        """A quarter of the partial score, and 1/2 - y where the label is."""
        return u / 4 if y is None else u / 4 + 0.5 - y

    def term(self, u: Floats, *, labels: bool) -> Floats:  # noqa: ARG002 - one interface
        """None."""
        return np.zeros((len(u), 0))

    def residual(self, u: Floats, y: Floats) -> Floats:
        """A quarter of the score, + 1/2 - y."""
        return u / 4 + 0.5 - y


@dataclass(frozen=True)
class Sigmoid:
    """d = 1/2 + sum over k of b_k sin(k w u) - y: the sigmoid by its best sines, for two owners.

    sin(k w (a + b)) = cos(k w a) sin(k w b) + sin(k w a) cos(k w b), so that each sine is two products of what the two
    owners have, none of them above 1. Partial scores are cut off at ``reach``; ``waves`` sines are within ``error`` of
    the sigmoid for all scores that can then come up. Owners tell each other roughly how far their scores reach (2.5, 5,
    7, 10, 14, 20, 28 or 40), and it takes about as many sines.
    """

    waves: int = 5
    reach: float = 5.0
    curvature: float = 0.25
    bounded: bool = True

    @property
    def terms(self) -> int:
        """Two for each sine."""
        return 2 * self.waves

    @property
    def error(self) -> float:
        """The largest distance from the sigmoid."""
        u = np.linspace(-2 * self.reach, 2 * self.reach, 4001)
        return float(np.abs(self._sines(u) + 0.5 - 1 / (1 + np.exp(-u))).max())

    def reach_of(self, u: Floats) -> float:
        """The first of the ``REACHES`` beyond which there is no more than one row in a thousand, or the last."""
        far = float(np.quantile(np.abs(u), 0.999)) if len(u) else 0.0
        return next((reach for reach in REACHES if reach >= far), REACHES[-1])

    def reaching(self, reach: float) -> Link:
        """As many sines as keep it near to the sigmoid over that reach."""
        return Sigmoid(int(reach) // 2 * 2 + 1, reach)

    def piece(self, u: Floats, y: Floats | None) -> Floats | None:  # noqa: ARG002 - one interface
        """1/2 - y where the label is."""
        return None if y is None else 0.5 - y

    def term(self, u: Floats, *, labels: bool) -> Floats:
        """The cos and sin of the owner's part of the angle, times b where the labels are; sin and cos at the other."""
        heights, frequency = _best_sines(self.waves, self.reach)
        angles = np.outer(np.clip(u, -self.reach, self.reach), frequency * np.arange(1, self.waves + 1))
        if labels:
            return np.hstack([heights * np.cos(angles), heights * np.sin(angles)])
        return np.hstack([np.sin(angles), np.cos(angles)])

    def residual(self, u: Floats, y: Floats) -> Floats:
        """The sines of the scores, of which none is cut off here, + 1/2 - y."""
        return self._sines(u) + 0.5 - y

    def _sines(self, u: Floats) -> Floats:
        heights, frequency = _best_sines(self.waves, self.reach)
        found: Floats = np.sin(np.outer(u, frequency * np.arange(1, self.waves + 1))) @ heights
        return found


@dataclass(frozen=True)
class Exponential:
    """d = exp(u) - y, where exp(a + b) = exp(a) exp(b): counts, for two owners.

    Partial scores are cut off at ``reach``. ``curvature`` is what the mean of the labels makes it.
    """

    curvature: float
    reach: float = 5.0
    terms: int = 1
    bounded: bool = False

    def reach_of(self, u: Floats) -> float:  # noqa: ARG002 - one interface
        """It does not matter."""
        return 0.0

    def reaching(self, reach: float) -> Link:  # noqa: ARG002 - one interface
        """The same."""
        return self

    def piece(self, u: Floats, y: Floats | None) -> Floats | None:  # noqa: ARG002 - one interface
        """Less the label, where it is."""
        return None if y is None else -y

    def term(self, u: Floats, *, labels: bool) -> Floats:  # noqa: ARG002 - one interface
        """The exponential of the partial score."""
        return np.exp(np.clip(u, -self.reach, self.reach))[:, None]

    def residual(self, u: Floats, y: Floats) -> Floats:
        """Expected less true count, in units of the mean."""
        return np.exp(u) - y


def residual_of(link: Link, partial: Mapping[str, Floats], y: Floats, labels_at: str) -> Floats:
    """The residual (n,) put together from every owner's ``partial`` scores, (n,) each, as the protocol does it."""
    pieces = [link.piece(u, y if name == labels_at else None) for name, u in partial.items()]
    terms = np.prod([link.term(u, labels=name == labels_at) for name, u in partial.items()], axis=0)
    return np.asarray(terms.sum(axis=1) + sum(piece for piece in pieces if piece is not None))


@lru_cache(maxsize=16)
def _best_sines(waves: int, reach: float) -> tuple[Floats, float]:
    """Heights (waves,) and lowest frequency of the sines nearest to the sigmoid less 1/2 on +-2 reach (least squares).

    The period is a good deal longer than the range, so that the sines need not jump where the range ends.
    """
    u = np.linspace(-2 * reach, 2 * reach, 2001)
    wanted = 1 / (1 + np.exp(-u)) - 0.5
    best: tuple[float, Floats, float] = np.inf, np.zeros(0), 0.0
    for stretch in np.linspace(1.05, 1.8, 31):
        frequency = np.pi / (2 * reach * stretch)
        sines = np.sin(np.outer(u, frequency * np.arange(1, waves + 1)))
        heights, *_ = np.linalg.lstsq(sines, wanted, rcond=None)
        error = float(np.abs(sines @ heights - wanted).max())
        if error < best[0]:
            best = error, np.asarray(heights, dtype=np.float64), float(frequency)
    return best[1], best[2]
