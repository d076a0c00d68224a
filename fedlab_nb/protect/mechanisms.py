"""What is promised to whom: the two units of differential privacy an owner can ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card
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


SHARES = (
    "Under encryption each owner adds its share of the noise and any one of them may know its own; without encryption "
    "each owner adds all of it."
)


def _noise(clip: float, noise_multiplier: float | None) -> str:
    """How much noise, in words."""
    if noise_multiplier is None:
        return "as much as the federation's budget asks for, for the planned rounds"
    return f"standard deviation {noise_multiplier * clip:.4g} = multiplier {noise_multiplier:g} × {clip:g}"


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

    def _repr_html_(self) -> str:
        rows = [
            ("Hides", "whether any single row took part"),
            ("Clipped", f"the gradient of each row, to length {self.clip:g} at most"),
            ("Noise", f"on the sum over all rows of all owners: {_noise(self.clip, self.noise_multiplier)}"),
            ("Protects against", "whoever sees the model, the sums or the scores, with any other knowledge"),
            ("Does not hide", "what many rows have in common, such as all rows of one owner or one person"),
            ("Does not stop", "owners who put their shares of the noise together; whoever runs this process"),
        ]
        return card("Row-level differential privacy", rows, SHARES)


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

    def _repr_html_(self) -> str:
        rows = [
            ("Hides", "whether any single owner, with all its rows, took part"),
            ("Clipped", f"the whole update of each owner, to length {self.clip:g} at most"),
            ("Noise", f"on the sum over all owners: {_noise(self.clip, self.noise_multiplier)}"),
            ("Protects against", "whoever sees the model, the sums or the scores, with any other knowledge"),
            ("Does not hide", "what many owners have in common"),
            ("Does not stop", "owners who put their shares of the noise together; whoever runs this process"),
        ]
        return card("Owner-level differential privacy", rows, f"{SHARES} It needs about fifty owners or more.")


def clip_norm(value: NDArray[np.float64], clip: float) -> NDArray[np.float64]:
    """``value`` (d,) scaled down, if needed, to an L2 norm of at most ``clip``.

    >>> import numpy as np
    >>> clip_norm(np.array([3.0, 4.0]), 1.0)
    array([0.6, 0.8])
    """
    norm = float(np.linalg.norm(value))
    return value if norm <= clip else value * (clip / norm)
