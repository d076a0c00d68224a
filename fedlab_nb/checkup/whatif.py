"""what_if(): how good a model may be expected to be at each epsilon and number of rounds, rehearsed on another table.

No budget is touched: each run is a rehearsal with noise that can be repeated, on a table that may be looked at.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fedlab_nb.cards import Html, framed, image, marked, panel, table_html
from fedlab_nb.channel import Encryption
from fedlab_nb.checkup.rehearsal import Divided, divided, rehearsed
from fedlab_nb.crypto import CKKS
from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal import FedAvg
from fedlab_nb.learn import models
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.parties.rules import is_number
from fedlab_nb.privacy import Budget
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP
from fedlab_nb.rounds import Strategy
from fedlab_nb.units import LOWER_IS_BETTER, counted, delta_text, epsilon_text, metric_name, number

if TYPE_CHECKING:
    import pandas as pd

    from fedlab_nb.view.draw.whatif import Sweep

SEALED = CKKS()


@dataclass(frozen=True)
class Trial:
    """What rehearsals with one epsilon and number of rounds came to: a score each, on rows held apart.

    ``epsilon`` and ``noise_multiplier`` are None without privacy.
    """

    epsilon: float | None
    num_rounds: int
    noise_multiplier: float | None
    scores: tuple[float, ...]

    @property
    def expected(self) -> float:
        """The median of the scores."""
        return statistics.median(self.scores)


@dataclass(frozen=True, repr=False)
class WhatIfTable:
    """What to expect of each epsilon and number of rounds: shows as a card, ``.frame()`` and ``.figure()`` give it.

    ``trials`` are in the order of epsilon and rounds; ``without`` is the same training without privacy, for as many
    rounds as the longest of them. ``metric`` is "accuracy", or "rmse" in units of the target.
    """

    trials: tuple[Trial, ...]
    without: Trial
    metric: str
    owners: int
    delta: float
    unit: str
    encrypt: Encryption | None

    @property
    def best(self) -> Trial:
        """The trial with the best expected score; of equals the one with the smallest epsilon and fewest rounds."""
        sign = 1.0 if self.metric in LOWER_IS_BETTER else -1.0
        return min(self.trials, key=lambda trial: sign * trial.expected)

    def frame(self) -> pd.DataFrame:
        """One row a trial, and a last one without privacy (epsilon infinite, no noise), to compute with."""
        import pandas as pd

        facts = [
            {
                "epsilon": np.inf if trial.epsilon is None else trial.epsilon,
                "rounds": trial.num_rounds,
                "noise multiplier": 0.0 if trial.epsilon is None else trial.noise_multiplier,
                self.metric: trial.expected,
                "lowest": min(trial.scores),
                "highest": max(trial.scores),
            }
            for trial in (*self.trials, self.without)
        ]
        return pd.DataFrame(facts)

    def figure(self) -> Any:
        """The expected score against epsilon: one line for each number of rounds, its band the range of rehearsals."""
        from fedlab_nb.view.draw.whatif import sweep_figure

        return sweep_figure(self._sweep())

    def _sweep(self) -> Sweep:
        from fedlab_nb.view.draw.whatif import Point, Sweep

        lines: dict[int, list[Point]] = {}
        for trial in self.trials:
            assert trial.epsilon is not None
            point = Point(trial.epsilon, trial.expected, min(trial.scores), max(trial.scores))
            lines.setdefault(trial.num_rounds, []).append(point)
        return Sweep(
            f"What {metric_name(self.metric)} to expect for each epsilon "
            f"({self.owners} owners, δ = {delta_text(self.delta)}, per {self.unit})",
            self.metric,
            len(self.without.scores),
            tuple((of, tuple(points)) for of, points in sorted(lines.items())),
            self.without.expected,
        )

    def __repr__(self) -> str:
        best = self.best
        return (
            f"WhatIfTable({counted(len(self.trials), 'trial')}, {counted(self.owners, 'owner')}: best "
            f"{metric_name(self.metric)} {number(best.expected)} at epsilon {epsilon_text(best.epsilon)} and "
            f"{counted(best.num_rounds, 'round')}, {number(self.without.expected)} without privacy)"
        )

    def _repr_html_(self) -> str:
        from fedlab_nb.view.draw.whatif import sweep_svg

        sweep, name = self._sweep(), metric_name(self.metric)
        of = f", median of {sweep.repeats}" if sweep.repeats > 1 else ""
        columns = ["epsilon", "rounds", "noise multiplier", f"{name}{of}", "lowest to highest", ""]
        rows = [self._row(trial) for trial in (*self.trials, self.without)]
        body = image(sweep_svg(sweep), sweep.title) + table_html(columns, rows)
        title = f"Noise, rounds, epsilon, and the {name} to expect of them"
        return framed(panel(title, body, note=self._note(), name="what-if"))

    def _row(self, trial: Trial) -> tuple[object, ...]:
        private = trial.epsilon is not None
        mark: Html | str = marked("★", "best", "fl-good") if trial is self.best else "" if private else "no privacy"
        several = len(trial.scores) > 1
        return (
            epsilon_text(trial.epsilon),
            trial.num_rounds,
            number(trial.noise_multiplier),
            number(trial.expected),
            f"{number(min(trial.scores))} to {number(max(trial.scores))}" if several else "–",
            mark,
        )

    def _note(self) -> str:
        shares = "nothing is encrypted, so each owner adds all of the noise"
        if self.encrypt is not None:
            shares = f"that of sums under {type(self.encrypt).__name__}, of which each owner adds a share"
        return (
            "Rehearsed on the table that was given, with rows held apart to score on; the private rows may do better "
            "or worse, and trying these settings on them would cost budget each time. The noise of each line is "
            f"calibrated to its epsilon, for its rounds and the statistics before them: {shares}."
        )


def what_if(
    frame: pd.DataFrame,
    *,
    owners: int = 5,
    skew: float = 0.0,
    target: str | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    epsilons: Iterable[float] = (0.5, 1, 2, 4, 8),
    num_rounds: Iterable[int] = (10, 20, 40),
    delta: float = 1e-3,
    strategy: Strategy | None = None,
    protect: RowLevelDP | OwnerLevelDP | None = None,
    encrypt: Encryption | None = SEALED,
    repeats: int = 2,
    seed: int = 0,
) -> WhatIfTable:
    """What score to expect for each epsilon and number of rounds, before any budget is agreed on.

    ``frame`` is a table that may be looked at: a public one, or a look-alike of the private one that you made
    yourself. Owners' private rows are never used, as trying settings out on them would itself cost budget.

    Each of ``repeats`` rehearsals of a pair holds a fifth of the rows apart, divides the others among ``owners`` (see
    ``fl.split_rows`` for ``skew``, ``target`` and ``bounds``), trains with noise from a known seed, and scores the
    model on the rows held apart: accuracy, or RMSE where a number is predicted. Pairs share their seeds, so that they
    differ in their settings and not by luck. One more line is trained without privacy, for the most rounds.

    ``strategy`` is FedAvg with logistic regression if left out, ``protect`` row level. The noise is that of sums under
    ``encrypt``; with None each owner adds all of it, as nothing hides what it sends.

    Raises:
        SettingError, SchemaError, RuleError: for settings that cannot work.
        RoundError: if a rehearsal fails, as where training diverges.

    >>> import fedlab_nb.data.samples as samples
    >>> table = what_if(samples.clinics(), target="diagnosis", epsilons=[4], num_rounds=[2], repeats=1)
    >>> [round(trial.noise_multiplier, 1) for trial in table.trials]
    [1.2]
    """
    _check_frame(frame)
    counts = [int(count) for count in _several("num_rounds", num_rounds, "(10, 20, 40)", whole=True)]
    budgets = [Budget(float(e), delta) for e in _several("epsilons", epsilons, "(0.5, 1, 2, 4, 8)")]
    protect, played = _uncalibrated(protect or RowLevelDP()), strategy or FedAvg(models.logistic())
    parts = divided(frame, owners, skew=skew, target=target, bounds=bounds, seed=seed, repeats=_count(repeats))
    return WhatIfTable(
        tuple(_trial(parts, played, count, encrypt, protect, budget) for budget in budgets for count in counts),
        _trial(parts, played, counts[-1], encrypt),
        parts[0].metric,
        owners,
        delta,
        protect.unit,
        encrypt,
    )


def _trial(
    parts: Sequence[Divided],
    strategy: Strategy,
    num_rounds: int,
    encrypt: Encryption | None,
    protect: RowLevelDP | OwnerLevelDP | None = None,
    budget: Budget | None = None,
) -> Trial:
    """A rehearsal on each of ``parts``: calibrated to ``budget``, or without privacy."""
    scores = []
    for part in parts:
        seed = None if budget is None else part.seed
        federation = Federation(part.owners, encrypt=encrypt, protect=protect, budget=budget, noise_seed=seed)
        score, noise = rehearsed(federation, strategy, num_rounds, part)
        scores.append(score)
    if budget is None:
        return Trial(None, num_rounds, None, tuple(scores))
    return Trial(budget.epsilon, num_rounds, noise, tuple(scores))


def _several(name: str, values: object, example: str, *, whole: bool = False) -> list[float]:
    """``values`` in order, each once, if they are one or more finite numbers above 0."""
    given = list(values) if isinstance(values, Iterable) and not isinstance(values, str | bytes) else []
    if not given or not all(is_number(v, whole=whole) and 0 < v < np.inf for v in given):
        raise SettingError(
            f"what_if was given {name}={values!r}.",
            f"Each pair of an epsilon and a number of rounds is tried, so there must be {'whole ' * whole}numbers "
            "above 0.",
            f"Give some of them, such as {name}={example}.",
        )
    return sorted(set(given))


def _count(repeats: object) -> int:
    if not is_number(repeats, whole=True) or repeats < 1:  # type: ignore[operator]
        raise SettingError(
            f"what_if was given repeats={repeats!r}.",
            "It is how many rehearsals stand behind each number, and their range shows how much is luck.",
            "Use a whole number from 1 up, such as repeats=2.",
        )
    return int(repeats)  # type: ignore[call-overload,no-any-return]


def _uncalibrated(protect: RowLevelDP | OwnerLevelDP) -> RowLevelDP | OwnerLevelDP:
    fixed = getattr(protect, "noise_multiplier", None)
    if fixed is not None:
        raise SettingError(
            f"what_if was given a mechanism with noise_multiplier={fixed!r}.",
            "The noise is what follows from each epsilon and number of rounds, so that it cannot be fixed as well.",
            "Leave noise_multiplier out, as in protect=fl.RowLevelDP(clip=1.0).",
        )
    return protect


def _check_frame(frame: object) -> None:
    """Refuse data owners: what is tried out here is seen by whoever asks, and no budget would hear of it."""
    several = list(frame) if isinstance(frame, list | tuple) else [frame]
    if isinstance(frame, Federation) or any(isinstance(one, DataOwner) for one in several):
        raise SettingError(
            f"what_if was given {'a federation' if isinstance(frame, Federation) else 'data owners'}, not a table.",
            "Trying settings out on private rows would itself cost budget, for every pair that is tried.",
            "Give a table that may be looked at: a public one, or a look-alike of the private one made by you.",
        )
