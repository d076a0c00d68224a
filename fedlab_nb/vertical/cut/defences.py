"""What the owner of the labels may do to gradients, or labels, before anything of them crosses the cut.

Each is about one other owner that looks at the gradients it gets. None makes training private: activations, the model
and scores are as open as without, and the two noises promise nothing about any single row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card
from fedlab_nb.records.schema import Task
from fedlab_nb.settings import check_setting, is_real
from fedlab_nb.vertical.cut.marvell import Classes, Spread, hardest

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Defence:
    """Something that labels or gradients go through at their owner; one of your own overrides a method."""

    title: ClassVar[str] = "Defence of labels"
    promise: ClassVar[str] = ""
    tasks: ClassVar[tuple[Task, ...]] = ("binary", "multiclass", "regression")

    def labels(self, y: Floats, classes: int, source: np.random.Generator) -> Floats:  # noqa: ARG002
        """The labels (n,) that are trained on in place of ``y``; drawn once for a run."""
        return y

    def gradients(self, gradients: Floats, y: Floats, source: np.random.Generator) -> Floats:  # noqa: ARG002
        """What crosses to one other owner in place of a batch's ``gradients`` (n, cut)."""
        return gradients

    def _repr_html_(self) -> str:
        rows = [(name, f"{value:g}") for name, value in vars(self).items()]
        return card(self.title, [*rows, ("What it promises", self.promise)])


@dataclass(frozen=True)
class MaxNormNoise(Defence):
    """Noise along each row's gradient that makes all gradients of a batch equally long in mean square.

    g -> g (1 + s z) with z from N(0, 1) and s**2 = max|g|**2 / |g|**2 - 1: short gradients may turn round, the longest
    stays as it is. No promise: a row's direction is kept up to its sign. A gradient of exactly zero stays zero.

    Source: Li et al. 2022, "Label leakage and protection in two-party split learning", ICLR, section 4.1 (max_norm).
    """

    title: ClassVar[str] = "Noise that hides how long gradients are"
    promise: ClassVar[str] = "none about single rows: in mean square all gradients of a batch are equally long"

    def gradients(self, gradients: Floats, y: Floats, source: np.random.Generator) -> Floats:  # noqa: ARG002
        """What crosses (n, cut)."""
        squares = np.sum(gradients**2, axis=1, keepdims=True)
        spread = np.sqrt(np.maximum(squares.max(initial=0.0) / np.where(squares > 0.0, squares, np.inf) - 1.0, 0.0))
        noisy: Floats = gradients * (1.0 + spread * source.normal(size=squares.shape))
        return noisy


@dataclass(frozen=True)
class Marvell(Defence):
    """Gaussian noise, another for each of two classes, that makes them hardest to tell apart for what it costs.

    Its mean squared length is ``power`` times the squared distance of both classes' mean gradients in the batch; at
    this power it has the smallest sum of both Kullback-Leibler divergences, if a batch's gradients are Gaussian. That
    is no promise about single rows, and many rounds tell more than one. A batch of rows of one class gets noise
    without direction, of ``power`` times its mean gradient's squared length (ours: the paper says nothing of it).

    Source: Li et al. 2022, "Label leakage and protection in two-party split learning", ICLR, section 4.2, theorem 2.
    """

    power: float = 4.0

    title: ClassVar[str] = "Marvell: noise that makes classes alike"
    promise: ClassVar[str] = (
        "none about single rows: classes of one batch are as alike as noise of this power makes them"
    )
    tasks: ClassVar[tuple[Task, ...]] = ("binary",)

    def __post_init__(self) -> None:
        check_setting(
            "Marvell",
            "power",
            self.power,
            fits=is_real(self.power, above=0.0, most=1e6),
            wanted="a number above 0 and at most a million",
            why="It is how much noise there is, in squared distances of both classes' mean gradients.",
            example="4.0",
        )

    def gradients(self, gradients: Floats, y: Floats, source: np.random.Generator) -> Floats:
        """What crosses (n, cut)."""
        positive = y > 0.5
        noise = source.normal(size=gradients.shape)
        if positive.all() or not positive.any():
            return gradients + noise * math.sqrt(self.power / gradients.shape[1]) * np.linalg.norm(gradients.mean(0))
        classes = Classes.of(gradients, positive)
        if classes.distance == 0.0:
            return gradients
        line = gradients[positive].mean(0) - gradients[~positive].mean(0)
        found = hardest(classes, self.power * classes.distance)
        return gradients + _stretched(noise, line / np.linalg.norm(line), found, positive)


def _stretched(noise: Floats, line: Floats, spreads: tuple[Spread, Spread], positive: NDArray[np.bool_]) -> Floats:
    """Unit noise (n, cut) with the variances of each row's class along the unit vector ``line``, and across it."""
    along, across = (np.sqrt([spread[k] for spread in spreads])[positive.astype(int)][:, None] for k in (0, 1))
    part = (noise @ line)[:, None] * line
    stretched: Floats = along * part + across * (noise - part)
    return stretched


@dataclass(frozen=True)
class LabelDP(Defence):
    """Randomised response: each training label is kept with probability e^epsilon / (e^epsilon + classes - 1).

    Otherwise it becomes one of the other classes, each as likely; of two classes it flips with probability
    1 / (1 + e^epsilon). Drawn once a row and run, and kept: all rounds train on the same labels. So whatever the other
    owners see in a run, and the model, is ``epsilon`` differentially private in one label of a training row (that
    label alone, against those who know everything else; not the owner's columns). A further run draws anew and adds
    its epsilon. Scores of held-out rows are worked out from true labels, and the list of classes is taken as known.

    Source: Warner 1965 (two classes); Ghazi et al. 2021, "Deep learning with label differential privacy", NeurIPS,
    section 3 (randomised response of several classes).
    """

    epsilon: float = 1.0

    title: ClassVar[str] = "Label differential privacy by randomised response"
    promise: ClassVar[str] = (
        "for each training row, epsilon of its label in each run, against all that is trained from it; nothing about "
        "columns, nor about the labels of held-out rows, of which scores are told"
    )
    tasks: ClassVar[tuple[Task, ...]] = ("binary", "multiclass")

    def __post_init__(self) -> None:
        check_setting(
            "LabelDP",
            "epsilon",
            self.epsilon,
            fits=is_real(self.epsilon, above=0.0, most=100.0),
            wanted="a number above 0 and at most 100",
            why="It bounds by how much a label changes the odds of anything that is seen, as e to this power.",
            example="1.0",
        )

    def labels(self, y: Floats, classes: int, source: np.random.Generator) -> Floats:
        """The labels (n,) that are trained on."""
        kept = 1.0 / (1.0 + (classes - 1) * math.exp(-self.epsilon))
        lots = source.random(len(y))
        others = source.integers(1, classes, len(y))
        return np.where(lots < kept, y, (y + others) % classes)
