"""The same descent with all columns in one place and no protocol: what the protocol is measured against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.vertical.descent.gradients import Places, beside_ones
from fedlab_nb.vertical.descent.links import Link, residual_of
from fedlab_nb.vertical.descent.steps import Descent
from fedlab_nb.vertical.shared.meeting import Setup

Floats = NDArray[np.float64]


class Model(Protocol):
    """What a linear model says of its steps."""

    @property
    def lr(self) -> float:
        """Parts of the longest safe step."""

    @property
    def l1(self) -> float:
        """Penalty on absolute weights."""

    @property
    def l2(self) -> float:
        """Penalty on squared weights."""

    def link(self, owners: int) -> Link:
        """How residuals are made."""

    def push(self, number: int) -> float:
        """Momentum in round ``number``."""

    def batches(self, run: int, number: int, all_rows: int) -> Iterator[tuple[str, Places, int]]:
        """The batches of round ``number``."""


def plain_scores(
    model: Model, columns: Mapping[str, Floats], y: Floats, new: Mapping[str, Floats], setup: Setup, num_rounds: int
) -> Floats:
    """Scores (m, outputs) of ``new`` rows after ``num_rounds`` rounds on ``columns`` of some owners, or of all."""
    holder, outputs, link = setup.labels_at, setup.outputs, model.link(len(setup.owners))
    descent = Descent(model.lr, model.l1, model.l2, link.curvature, len(columns))
    mine = {name: beside_ones(X) if name == holder else X for name, X in columns.items()}
    ready = {name: descent.ready(X, intercept=name == holder) for name, X in mine.items()}
    truth = (y[:, None] == np.arange(outputs)).astype(np.float64) if outputs > 1 else y[:, None]
    before = now = {name: np.zeros((X.shape[1], outputs)) for name, X in mine.items()}
    for number in range(1, num_rounds + 1):
        for _, places, rows in model.batches(setup.seed, number, len(y)):
            ahead = {name: w + model.push(number) * (w - before[name]) for name, w in now.items()}
            before, now = now, {name: np.empty_like(w) for name, w in now.items()}
            for output in range(outputs):
                partial = {name: X[places] @ ahead[name][:, output] for name, X in mine.items()}
                residual = _residual(link, partial, truth[places, output], holder)
                for name, (turned, turn) in ready.items():
                    w, mean = ahead[name][:, output], residual @ turned[places] / rows
                    now[name][:, output] = descent.step(w, mean, turn, intercept=name == holder)
    return np.asarray(sum((beside_ones(X) if name == holder else X) @ now[name] for name, X in new.items()))


def _residual(link: Link, partial: Mapping[str, Floats], y: Floats, holder: str) -> Floats:
    # Alone, the owner of the labels is as one beside whom another has nothing to say.
    both = partial if len(partial) > 1 else {**partial, "": np.zeros_like(y)}
    fitting = link.reaching(max(link.reach_of(u) for u in both.values()))
    return residual_of(fitting, both, y, holder)
