"""What is promised to whom: the two units of differential privacy an owner can ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError


def _check(name: str, clip: float, noise_multiplier: float | None) -> None:
    if not _is_positive(clip):
        raise SettingError(
            f"{name} has clip={clip!r}, not a positive number.",
            "The clip norm bounds what one row or owner can contribute; noise is measured against it.",
            "Choose a value such as clip=1.0.",
        )
    if noise_multiplier is not None and not _is_positive(noise_multiplier):
        raise SettingError(
            f"{name} has noise_multiplier={noise_multiplier!r}, not a positive number.",
            "Without noise there is no differential privacy, whatever the clip norm.",
            "Leave it out to have it calibrated to the budget, or choose a value such as 1.0.",
        )


def _is_positive(value: object) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number and 0.0 < value < float("inf")  # type: ignore[operator]


@dataclass(frozen=True)
class RowLevelDP:
    """Hides whether any single row took part: each row's gradient is clipped, the noise goes on the encrypted sum.

    Every owner makes one full-batch step a round, g = sum over rows of grad_i * min(1, clip / |grad_i|), and adds its
    share of Gaussian noise: any n - 1 of n shares together have standard deviation noise_multiplier * clip, so that an
    owner who knows its own faces all of it. Left out, ``noise_multiplier`` is calibrated to the federation's budget
    for ``num_rounds``.

    Source: Abadi et al. 2016, "Deep learning with differential privacy", Algorithm 1, with every row in every step.
    """

    clip: float = 1.0
    noise_multiplier: float | None = None
    unit: ClassVar[Literal["row", "owner"]] = "row"

    def __post_init__(self) -> None:
        _check("RowLevelDP", self.clip, self.noise_multiplier)


@dataclass(frozen=True)
class OwnerLevelDP:
    """Hides whether any single owner took part: each owner's whole update is clipped, the noise goes on the sum.

    All owners count the same, and the sum is divided by the number of owners taking part. It needs many owners: with
    fewer than about fifty the noise drowns the model.

    Source: McMahan et al. 2018, "Learning differentially private recurrent language models", Algorithm 1.
    """

    clip: float = 1.0
    noise_multiplier: float | None = None
    unit: ClassVar[Literal["row", "owner"]] = "owner"

    def __post_init__(self) -> None:
        _check("OwnerLevelDP", self.clip, self.noise_multiplier)


def clip_norm(value: NDArray[np.float64], clip: float) -> NDArray[np.float64]:
    """``value`` (d,) scaled down, if needed, to an L2 norm of at most ``clip``.

    >>> import numpy as np
    >>> clip_norm(np.array([3.0, 4.0]), 1.0)
    array([0.6, 0.8])
    """
    norm = float(np.linalg.norm(value))
    return value if norm <= clip else value * (clip / norm)
