"""A clip norm that follows the owners' updates, at no privacy cost beyond that of the updates themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.protect.clip import check_positive, clip_norm, is_positive

# Smaller or larger clips than these say that nothing is learned any more, and no grid could hold their noise.
SMALLEST, LARGEST = 1e-4, 1e4


@dataclass(frozen=True)
class AdaptiveClip:
    """A clip norm C that moves towards the ``quantile`` of the owners' update norms, round by round.

    In the same sum as its update each owner sends one more number, b_i - 1/2, where b_i is 1 if its update was no
    longer than C and 0 if it was clipped. The server reads the noisy share b of owners within C off the sum and sets

        C <- C * exp(-rate * (b - quantile)).

    The sum of these numbers gets noise of standard deviation ``count_noise`` (left out: a twentieth of the owners
    expected in a round), and the updates a little more noise than without,

        z_update = (z^-2 - (2 count_noise)^-2)^(-1/2),

    so that both together cost exactly one Gaussian release of noise multiplier z.

    With fewer than about fifty owners the share is mostly noise: a fixed clip is then the better choice.

    Source: Andrew, Thakkar, McMahan and Ramaswamy 2021, "Differentially private learning with adaptive clipping",
    Algorithm 1 and Theorem 1.
    """

    initial: float = 0.1
    quantile: float = 0.5
    rate: float = 0.2
    count_noise: float | None = None

    def __post_init__(self) -> None:
        check_positive("AdaptiveClip", "initial", self.initial, "It is the clip norm of the first round.", "0.1")
        check_positive("AdaptiveClip", "rate", self.rate, "It is how fast the clip norm follows the updates.", "0.2")
        if not (is_positive(self.quantile) and self.quantile < 1.0):
            raise SettingError(
                f"AdaptiveClip has quantile={self.quantile!r}, not a number between 0 and 1.",
                "It is the share of owners whose updates are to be within the clip norm.",
                "Choose a value such as quantile=0.5, the median.",
            )
        if self.count_noise is not None:
            reason = "Whose updates were clipped is learned from the owners, so that it needs noise as well."
            check_positive("AdaptiveClip", "count_noise", self.count_noise, reason, "5.0, or leave it out")

    def count_sd(self, owners: float) -> float:
        """Standard deviation of the noise on the sum of b_i - 1/2, for so many ``owners`` expected in a round."""
        return owners / 20.0 if self.count_noise is None else float(self.count_noise)

    def update_multiplier(self, noise_multiplier: float, owners: float) -> float:
        """The noise multiplier of the updates, so that they and the b_i together cost ``noise_multiplier``.

        Raises:
            RuleError: the b_i alone would cost as much or more.

        >>> round(AdaptiveClip().update_multiplier(1.0, owners=100), 6)
        1.005038
        """
        count_sd = self.count_sd(owners)
        if noise_multiplier >= 2.0 * count_sd:
            raise RuleError(
                f"The noise multiplier is {noise_multiplier:g}, and the number that moves the adaptive clip has noise "
                f"of standard deviation {count_sd:g}, not above half of that.",
                "That number alone would cost all that a round may cost, and leave nothing for the updates.",
                f"Use AdaptiveClip(count_noise={_above(noise_multiplier):g}), bring more owners, or fix the clip norm.",
            )
        return 1.0 / math.sqrt(noise_multiplier**-2 - (2.0 * count_sd) ** -2)

    def noise_sd(self, clip: float, noise_multiplier: float, owners: float, size: int) -> NDArray[np.float64]:
        """Standard deviation (d + 1,) of the noise on the sum of ``contribution``s, for updates of ``size`` d."""
        update_sd = clip * self.update_multiplier(noise_multiplier, owners)
        return np.append(np.full(size, update_sd), self.count_sd(owners))

    @staticmethod
    def contribution(update: NDArray[np.float64], clip: float) -> NDArray[np.float64]:
        """What an owner sends (d + 1,): its update (d,) clipped to L2 norm ``clip``, and b - 1/2.

        >>> AdaptiveClip.contribution(np.array([3.0, 4.0]), 1.0)
        array([ 0.6,  0.8, -0.5])
        """
        within = float(np.linalg.norm(update)) <= clip
        return np.append(clip_norm(update, clip), 0.5 if within else -0.5)

    def moved(self, clip: float, summed: float, owners: float) -> float:
        """The clip of the next round, from the noisy sum of b_i - 1/2 over ``owners`` expected in a round.

        It stays between 0.0001 and 10,000.

        >>> round(AdaptiveClip().moved(0.1, summed=-50.0, owners=100), 4)
        0.1105
        """
        within = min(max(0.5 + summed / owners, 0.0), 1.0)
        return min(max(clip * math.exp(-self.rate * (within - self.quantile)), SMALLEST), LARGEST)

    def _repr_html_(self) -> str:
        count = "a twentieth of the owners in a round" if self.count_noise is None else f"{self.count_noise:g}"
        rows = [
            ("Begins at", f"{self.initial:g}"),
            ("Moves towards", f"a norm that {self.quantile:.0%} of the owners' updates stay within"),
            ("How fast", f"by a factor of e^±{self.rate * max(self.quantile, 1 - self.quantile):.3g} a round at most"),
            ("Noise on the count", f"standard deviation {count}"),
            ("Privacy cost", "none of its own: the updates get a little more noise in exchange"),
        ]
        return card("Adaptive clip norm", rows, "With fewer than about fifty owners a fixed clip norm is better.")


def _above(noise_multiplier: float) -> float:
    """A noise on the count with which the noise on the updates grows by 2 % only."""
    return round(2.5 * noise_multiplier, 3)
