"""What an owner adds to its numbers before they are sealed: its share of the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.protect.exact import exact_share, exact_source, growth_by_rounding
from fedlab_nb.protect.noise import gaussian_share, noise_source

Floats = NDArray[np.float64]


def with_share(
    value: Floats,
    sd: float | Floats,
    shares: int,
    *,
    seed: int | None,
    path: tuple[int, ...],
    step: float | None = None,
    noise_multiplier: float = 0.0,
) -> Floats:
    """``value`` (d,) with one owner's share of the noise: any ``shares`` shares have deviation ``sd`` together.

    The noise comes from the operating system, or from ``seed`` and ``path`` in a rehearsal. ``sd`` is one number for
    all, or one for each (d,).

    With ``step`` the noise is exact: ``value`` is rounded to multiples of ``step`` first, and the noise, drawn in whole
    steps, is made larger by as much as the rounding can add to the sensitivity sd / ``noise_multiplier``.
    """
    if not np.any(sd):
        return value
    deviations = np.broadcast_to(np.asarray(sd, dtype=np.float64), value.shape)
    if step is None:
        return value + gaussian_share(noise_source(seed, *path), value.size, sd, shares)
    least = float(deviations[deviations > 0.0].min())
    growth = growth_by_rounding(value.size, step, least, noise_multiplier)
    noise = exact_share(exact_source(seed, *path), growth * deviations, shares, step)
    rounded: Floats = step * np.rint(value / step) + noise
    return rounded
