"""Where noise comes from: the operating system's entropy, or, in a rehearsal, a seed that everyone may know."""

from __future__ import annotations

import math
import secrets

import numpy as np
from numpy.typing import NDArray


def noise_source(seed: int | None, *path: int) -> np.random.Generator:
    """A generator from 256 bits of operating-system entropy; or from ``seed`` and ``path`` in a rehearsal.

    Noise from a known seed protects nobody: whoever knows the seed subtracts it. Runs that use one are marked.
    """
    entropy: int | list[int] = secrets.randbits(256) if seed is None else [seed, *path]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def row_lot(rng: np.random.Generator, rows: int, rate: float) -> NDArray[np.bool_]:
    """Which rows (rows,) take part in a step: each with probability ``rate``, by a coin of its own (Poisson sampling).

    That a round with ``rate`` below 1 costs less privacy holds only against those who do not know the coins, so that
    ``rng`` must come from ``noise_source``. Source: Abadi et al. 2016, section 3.1 ("lots"); Mironov et al. 2019.
    """
    return rng.random(rows) < rate


def gaussian_share(
    rng: np.random.Generator, size: int, sd: float | NDArray[np.float64], shares: int
) -> NDArray[np.float64]:
    """One owner's part of Gaussian noise (size,): any ``shares`` such parts together have standard deviation ``sd``.

    ``sd`` is one number for all, or one for each (size,). One part alone is less noise than that, so parts must only
    ever meet encrypted.
    Source: Dwork et al. 2006, "Our data, ourselves" (noise in shares).
    """
    noise: NDArray[np.float64] = rng.standard_normal(size)
    noise *= sd / math.sqrt(shares)
    return noise
