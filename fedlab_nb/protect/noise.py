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


def gaussian_share(rng: np.random.Generator, size: int, sd: float, shares: int) -> NDArray[np.float64]:
    """One owner's part of Gaussian noise (size,): any ``shares`` such parts together have standard deviation ``sd``.

    One part alone is less noise than that, so parts must only ever meet encrypted.
    Source: Dwork et al. 2006, "Our data, ourselves" (noise in shares).
    """
    return rng.normal(0.0, sd / math.sqrt(shares), size)


def geometric(rng: np.random.Generator, size: int, epsilon: float, sensitivity: int) -> NDArray[np.float64]:
    """Two-sided geometric noise (size,) that makes integer counts of L1 ``sensitivity`` epsilon-private.

    P(k) is proportional to exp(-epsilon |k| / sensitivity). For counts it is the best there is; at large epsilon most
    counts stay as they are. Source: Ghosh, Roughgarden and Sundararajan 2009, section 2.
    """
    p = -math.expm1(-epsilon / sensitivity)
    return (rng.geometric(p, size) - rng.geometric(p, size)).astype(np.float64)


def geometric_sd(epsilon: float, sensitivity: int) -> float:
    """Standard deviation of ``geometric`` noise, in counts."""
    a = math.exp(-epsilon / sensitivity)
    return math.sqrt(2 * a) / (1 - a)
