"""FedBN: the layers of batch normalisation stay at home, as each owner's inputs have statistics of their own.

Source: Li et al. 2021, "FedBN: federated learning on non-IID features via local batch normalization", Algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.personal.kept import Mask, PartAtHome
from fedlab_nb.learn import Learner


@dataclass(frozen=True, repr=False)
class FedBN(PartAtHome):
    """w <- w + mean of the owners' changes, in all weights but those of batch normalisation: these stay at home.

    At home stay the scale, the shift and the running statistics of every BatchNorm layer. It is for owners whose inputs
    differ (scanners, cameras, sensors) and whose labels mean the same. As in the paper, owners count the same unless
    ``weighting`` says "rows".

    The common model keeps these layers as they began, so that its own score says little: look at the owners' own.
    """

    weighting: Literal["rows", "equal"] | None = "equal"

    title: ClassVar[str] = "FedBN: batch normalisation stays at home"
    formula: ClassVar[str] = "w ← w + Σ weight · change / Σ weight, but for BatchNorm: each owner keeps its own"

    @property
    def needs(self) -> tuple[str, ...]:
        """Means and variances over the rows of a batch, and a part of the model of each owner's own."""
        return (*super().needs, "batch statistics")

    def home(self, learner: Learner) -> Mask:
        """The weights of all layers of batch normalisation, running statistics included."""
        return learner.coordinates("norms")

    def refuse(self, home: Mask) -> None:
        """Refuse a model without batch normalisation.

        Raises:
            SettingError.
        """
        super().refuse(home)
        if not home.any():
            raise SettingError(
                f"FedBN was given {self.model!r}, which has no layer of batch normalisation.",
                "Nothing would stay at home, and it would be plain averaging under another name.",
                "Put torch.nn.BatchNorm1d between the layers of a model of your own, or use fl.FedAvg.",
            )
