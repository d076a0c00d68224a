"""A question: the vector that an owner computes beside its rows, and how far one row can move it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Range = tuple[float, float]

# Draws of noise from which the standard error of a statistic is read: its own error is then about 4 %.
DRAWS = 400


@dataclass(frozen=True)
class Question:
    """One vector (d,) from each owner; the sum over owners equals the vector of all rows together.

    ``kind`` names it in the ledger, ``text`` says completely what is asked. Dividing the vector by ``scale`` (d,) gives
    one that a single row, added or removed, moves by at most 1 (L2): noise of standard deviation
    ``noise_multiplier * scale`` therefore makes one Gaussian release of it. ``whole`` says that it holds counts.
    ``guard`` hides (as NaN) what may not be shown of a vector without noise, because too few rows stand behind it.
    """

    kind: str
    text: str
    vector: Callable[[pd.DataFrame], Floats]
    scale: Floats
    guard: Callable[[Floats], Floats]
    whole: bool = True


@dataclass(frozen=True)
class Total:
    """What came back: the sum (d,), and the standard deviation (d,) of the noise in it; zeros without noise."""

    values: Floats
    noise_sd: Floats

    @property
    def exact(self) -> bool:
        """True if there is no noise in it."""
        return not self.noise_sd.any()

    def noise_se(self, read: Callable[[Floats], Floats]) -> Floats:
        """The standard error that the noise alone gives to the statistic ``read`` of the sum; not sampling error.

        Half the distance between the 16th and the 84th percentile of ``read`` over draws of noise around what was
        released. That uses nothing but the release, so it costs nothing; the draws are the same every time.
        """
        if self.exact:
            return np.zeros_like(read(self.values))
        rng = np.random.default_rng(0)
        draws = [read(self.values + self.noise_sd * rng.standard_normal(self.values.size)) for _ in range(DRAWS)]
        return _half_width(np.asarray(draws))


def joined(kind: str, *questions: Question) -> Question:
    """Several questions asked as one: their vectors one after the other, the privacy shared equally."""
    sizes = [question.scale.size for question in questions]

    def vector(table: pd.DataFrame) -> Floats:
        return np.concatenate([question.vector(table) for question in questions])

    def guard(values: Floats) -> Floats:
        cut = np.split(values, np.cumsum(sizes)[:-1])
        return np.concatenate([question.guard(part) for question, part in zip(questions, cut, strict=True)])

    scale = math.sqrt(len(questions)) * np.concatenate([question.scale for question in questions])
    text = "; and ".join(question.text for question in questions)
    return Question(kind, text, vector, scale, guard, all(question.whole for question in questions))


def _half_width(draws: Floats) -> Floats:
    """Half the central 68 % of each statistic over its draws; NaN where more than half of them are undefined."""
    undefined = np.isnan(draws).mean(axis=0) > 0.5
    ordered = np.where(undefined, 0.0, draws)
    low, high = np.nanpercentile(ordered, [15.8655, 84.1345], axis=0)
    return np.where(undefined, np.nan, (high - low) / 2.0)


def parts(*sizes_and_norms: tuple[int, float]) -> Floats:
    """The scale (d,) of a vector of several parts, so that each gets noise in proportion to its own size.

    A row moves part b of ``(size, norm)`` by at most ``norm`` (L2). With scale sqrt(parts) * norm in part b, it moves
    the scaled vector by at most sqrt(sum 1 / parts) = 1, and all parts share the privacy equally.

    >>> parts((2, 1.0))
    array([1., 1.])
    """
    share = math.sqrt(len(sizes_and_norms))
    return np.concatenate([np.full(size, share * norm) for size, norm in sizes_and_norms])
