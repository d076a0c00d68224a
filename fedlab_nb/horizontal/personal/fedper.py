"""FedPer: the last layers stay at home, and the layers before them are learned by all.

Source: Arivazhagan et al. 2019, "Federated learning with personalization layers", Algorithms 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fedlab_nb.horizontal.personal.kept import Mask, PartAtHome
from fedlab_nb.learn import Learner
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round
from fedlab_nb.settings import check_setting, is_whole


@dataclass(frozen=True, repr=False)
class FedPer(PartAtHome):
    """w <- w + sum_i weight_i * change_i / sum_i weight_i, in all but the last ``personal_layers`` layers.

    An owner trains all layers together: the common ones that were sent, and its own last ones, which it keeps. A layer
    is what has weights, such as a linear layer or a batch normalisation; with ``personal_layers=0`` nothing stays at
    home, and it is ``fl.FedAvg``. It is for owners whose labels mean different things, or are unevenly spread.

    The common model keeps the last layers as they began, so that its own score says little: look at the owners' own.
    """

    personal_layers: int = field(default=1, kw_only=True)

    title: ClassVar[str] = "FedPer: the last layers stay at home"
    formula: ClassVar[str] = "w ← w + Σ weight · change / Σ weight, but for the last layers: each owner keeps its own"

    def home(self, learner: Learner) -> Mask:
        """The weights of the last layers, in the module's order."""
        layers = [name.rpartition(".")[0] for name, _ in learner.tensors]
        distinct = list(dict.fromkeys(layers))
        last = set(distinct[max(len(distinct) - self.personal_layers, 0) :])
        sizes = [size for _, size in learner.tensors]
        return np.repeat([layer in last for layer in layers], sizes)

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse a number of layers that is none, and what averaging refuses.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_setting(
            "FedPer",
            "personal_layers",
            self.personal_layers,
            fits=is_whole(self.personal_layers),
            wanted="a whole number from 0 up",
            why="It is how many layers, counted from the last one, stay with their owner.",
            example="1",
        )
        super().check(federation, num_rounds, seed=seed, after=after)
