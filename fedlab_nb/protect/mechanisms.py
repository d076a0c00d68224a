"""What is promised to whom: the two units of differential privacy an owner can ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedlab_nb.cards import card
from fedlab_nb.errors import SettingError
from fedlab_nb.protect.adaptive import AdaptiveClip
from fedlab_nb.protect.clip import check_positive, is_positive


@dataclass(frozen=True)
class RowLevelDP:
    """Hides whether any single row took part: each row's gradient is clipped, the noise goes on the encrypted sum.

    Every owner makes one step a round, g = sum over rows of grad_i * min(1, clip / |grad_i|), and adds its share of
    Gaussian noise. Any n - ``colluding`` of n shares together have standard deviation noise_multiplier * clip, so that
    so many owners may put what they know of the noise together and still face all of it. Left out,
    ``noise_multiplier`` is calibrated to the federation's budget for ``num_rounds``.

    Each row takes part in a round with probability ``row_rate``, by a coin of its own that its owner tosses and tells
    nobody: a round then costs less privacy, and the step, divided by the expected number of rows, gets less exact. The
    coins come from the operating system, never from a seed that somebody else may know.

    With ``frozen`` a run with a budget and sampled rows is fixed beforehand, and its privacy counted by composing
    privacy loss distributions: as a rule 12 to 22 % more rounds, or that much less noise squared, for the same epsilon.
    What that costs: the account of every owner's data is debited with the whole run before its first release, and must
    not have released anything before; nothing comes back when the run is stopped early; noise and number of rounds stay
    as they were; no room is left for anything else; a round whose answer a crash lost is lost; only one federation at a
    time goes on with it. Learning rate, clip norm and who takes part may change. Why it holds, and why only then, is
    told in ``privacy/guard/frozen.py``.

    With ``exact_noise`` the Gaussian noise on sums is drawn in whole steps of the grid that all numbers are rounded to,
    by integer arithmetic alone (``protect/exact.py``): some hundred times slower, and free of what floating-point
    numbers give away in their last digits (Mironov 2012).

    Source: Abadi et al. 2016, "Deep learning with differential privacy", Algorithm 1.
    """

    clip: float = 1.0
    noise_multiplier: float | None = None
    row_rate: float = 1.0
    colluding: int = 1
    exact_noise: bool = False
    frozen: bool = False
    unit: ClassVar[Literal["row", "owner"]] = "row"

    def __post_init__(self) -> None:
        _check_clip(self, self.clip)
        _check_noise(self)
        if not (is_positive(self.row_rate) and self.row_rate <= 1.0):
            raise SettingError(
                f"RowLevelDP has row_rate={self.row_rate!r}, not a number above 0 and at most 1.",
                "It is the probability with which each row takes part in a round.",
                "Use row_rate=1.0 for all rows in every round, or a value such as 0.2.",
            )
        if not isinstance(self.frozen, bool) or (self.frozen and self.row_rate == 1.0):
            raise SettingError(
                f"RowLevelDP has frozen={self.frozen!r} and row_rate={self.row_rate!r}.",
                "With all rows in every round the usual count is exact, and a plan that is frozen would gain nothing "
                "for what it forbids."
                if self.frozen is True
                else "It says whether the whole run is fixed and paid before its first release: True or False.",
                "Use frozen=True with sampled rows, such as row_rate=0.2, or leave it out.",
            )

    @property
    def clip_words(self) -> str:
        """The clip norm, in words."""
        return f"clip norm {self.clip:g}"

    def _repr_html_(self) -> str:
        whole = self.row_rate == 1.0
        lot = "all rows" if whole else f"each row with probability {self.row_rate:g}, drawn in secret by its owner"
        rows = [
            ("Hides", "whether any single row took part"),
            ("In a round", lot),
            ("Clipped", f"the gradient of each row, to length {self.clip:g} at most"),
            ("Noise", f"on the sum over all rows of all owners: {_noise(self.clip, self.noise_multiplier)}"),
            ("Drawn", drawn_words(exact=self.exact_noise)),
            ("Protects against", "whoever sees the model, the sums or the scores, with any other knowledge"),
            ("Does not hide", "what many rows have in common, such as all rows of one owner or one person"),
            ("Does not stop", _not_stopped(self.colluding)),
        ]
        if self.frozen:
            words = (
                "frozen: a run is paid for as a whole before its first release, counted by its privacy loss "
                "distribution; nothing comes back when it is stopped, and its noise and rounds cannot be changed"
            )
            rows.append(("Plan", words))
        return card("Row-level differential privacy", rows, shares_words(self.colluding))


@dataclass(frozen=True)
class OwnerLevelDP:
    """Hides whether any single owner took part: each owner's whole update is clipped, the noise goes on the sum.

    All owners count the same. The sum is divided by sample_rate * number of owners, fixed and public, not by the number
    of owners who happened to take part: adding or removing one owner then moves the mean by at most
    clip / (sample_rate * number of owners), while a realised number would change with that owner too, and no noise
    covers it. A round in which fewer owners take part than expected (``dropout``) makes a shorter step.

    ``clip`` is a number, or ``fl.AdaptiveClip()`` to let it follow the updates. ``noise_multiplier``, ``colluding`` and
    ``exact_noise`` are as in ``fl.RowLevelDP``. It needs many owners: with fewer than about fifty the noise drowns the
    model.

    Source: McMahan et al. 2018, "Learning differentially private recurrent language models", Algorithm 1, with the
    fixed-denominator estimator.
    """

    clip: float | AdaptiveClip = 1.0
    noise_multiplier: float | None = None
    colluding: int = 1
    exact_noise: bool = False
    unit: ClassVar[Literal["row", "owner"]] = "owner"

    def __post_init__(self) -> None:
        if not isinstance(self.clip, AdaptiveClip):
            _check_clip(self, self.clip)
        _check_noise(self)

    @property
    def clip_words(self) -> str:
        """The clip norm, in words."""
        if isinstance(self.clip, AdaptiveClip):
            return f"clip norm from {self.clip.initial:g}, following the updates"
        return f"clip norm {self.clip:g}"

    def _repr_html_(self) -> str:
        adaptive = isinstance(self.clip, AdaptiveClip)
        length = "a length that follows the updates" if adaptive else f"length {self.clip:g} at most"
        rows = [
            ("Hides", "whether any single owner, with all its rows, took part"),
            ("Clipped", f"the whole update of each owner, to {length}"),
            ("Noise", f"on the sum over all owners: {_noise(self.clip, self.noise_multiplier)}"),
            ("Drawn", drawn_words(exact=self.exact_noise)),
            ("Protects against", "whoever sees the model, the sums or the scores, with any other knowledge"),
            ("Does not hide", "what many owners have in common"),
            ("Does not stop", _not_stopped(self.colluding)),
        ]
        note = f"{shares_words(self.colluding)} It needs about fifty owners or more."
        return card("Owner-level differential privacy", rows, note)


def shares_words(colluding: int) -> str:
    """Where the noise comes from, and against how many owners who put their shares of it together it is enough."""
    those = "any one of them may know its own" if colluding == 1 else f"any {colluding} of them may pool theirs"
    return (
        f"Under encryption each owner adds its share of the noise and {those}; without encryption each owner adds all "
        "of it."
    )


def drawn_words(*, exact: bool) -> str:
    """How noise is drawn, and what that leaves open."""
    if exact:
        return "in whole steps of a grid, by integer arithmetic; only the time that it takes varies"
    return (
        "in floating-point numbers, from entropy of the operating system; their last digits are not a perfect Gaussian "
        "(exact_noise=True draws whole steps)"
    )


def _not_stopped(colluding: int) -> str:
    several = "owners" if colluding == 1 else f"more than {colluding} owners"
    return f"{several} who put their shares of the noise together; whoever runs this process"


def _noise(clip: float | AdaptiveClip, noise_multiplier: float | None) -> str:
    """How much noise, in words."""
    if noise_multiplier is None:
        return "as much as the federation's budget asks for, for the planned rounds"
    if isinstance(clip, AdaptiveClip):
        return f"multiplier {noise_multiplier:g} of the clip norm in force, the count of clipped owners included"
    return f"standard deviation {noise_multiplier * clip:.4g} = multiplier {noise_multiplier:g} × {clip:g}"


def _check_clip(mechanism: RowLevelDP | OwnerLevelDP, clip: object) -> None:
    reason = "The clip norm bounds what one row or owner can contribute; noise is measured against it."
    check_positive(type(mechanism).__name__, "clip", clip, reason, "1.0")


def _check_noise(mechanism: RowLevelDP | OwnerLevelDP) -> None:
    name, noise, colluding = type(mechanism).__name__, mechanism.noise_multiplier, mechanism.colluding
    if noise is not None and not is_positive(noise):
        raise SettingError(
            f"{name} has noise_multiplier={noise!r}, not a positive number.",
            "Without noise there is no differential privacy, whatever the clip norm.",
            "Leave it out to have it calibrated to the budget, or choose a value such as 1.0.",
        )
    if isinstance(colluding, bool) or not isinstance(colluding, int | np.integer) or colluding < 1:
        raise SettingError(
            f"{name} has colluding={colluding!r}, not a whole number from 1 up.",
            "It is how many owners may put their shares of the noise together; one always knows its own.",
            "Use colluding=1, or about a third of the owners for more safety and more noise.",
        )
    if not isinstance(mechanism.exact_noise, bool):
        raise SettingError(
            f"{name} has exact_noise={mechanism.exact_noise!r}, neither True nor False.",
            "It says whether noise is drawn in whole steps of a grid, and the card would claim it.",
            "Use exact_noise=True, or leave it out.",
        )
