"""FedRep: many steps on each owner's own last layer first, then a few on the representation that all share.

Source: Collins et al. 2021, "Exploiting shared representations for personalized federated learning", Algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from fedlab_nb.horizontal.personal.kept import Floats, Mask, PartAtHome
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.learn import Learner
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round
from fedlab_nb.settings import check_setting, is_whole


@dataclass(frozen=True, repr=False)
class FedRep(PartAtHome):
    """The last layer, the head, is each owner's own; all layers before it, the body, are averaged.

        head_i <- ``head_epochs`` passes on loss_i(body, head_i) with the body as it was sent
        body_i <- ``local_epochs`` passes on loss_i(body_i, head_i) with that head,  body <- mean of body_i

    The paper makes ten passes for the head and one or a few for the body. As there, owners count the same unless
    ``weighting`` says "rows".

    The common model keeps the head as it began, so that its own score says little: look at the owners' own.
    """

    weighting: Literal["rows", "equal"] | None = "equal"
    head_epochs: int = field(default=10, kw_only=True)

    title: ClassVar[str] = "FedRep: a shared representation under heads of the owners' own"
    formula: ClassVar[str] = (
        "own head ← steps with the body held;  body ← mean of the bodies after steps with that head"
    )

    def home(self, learner: Learner) -> Mask:
        """The weights of the last layer."""
        return learner.coordinates("head")

    def trained(self, at: LocalRound) -> dict[str, Floats]:
        """Each owner's model (d,): head steps, then body steps."""
        head, start = self.home(at.learner), self.begin(at)
        rule, parameters = self.rule(at.lr), at.parameters
        of_head = replace(rule, only=head[:parameters].astype(np.float32))
        of_body = replace(rule, only=(~head[:parameters]).astype(np.float32))
        heads = at.train(of_head, start=start, epochs=self.head_epochs)
        # Running statistics move with every pass: each part is taken from the steps that were its own.
        middle = {name: np.where(head, end.weights, start[name]) for name, end in heads.items()}
        bodies = at.train(of_body, start=middle)
        return {name: np.where(head, middle[name], end.weights) for name, end in bodies.items()}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse passes for the head that are no number of passes, and what averaging refuses.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        check_setting(
            "FedRep",
            "head_epochs",
            self.head_epochs,
            fits=is_whole(self.head_epochs, least=1),
            wanted="a whole number from 1 up",
            why="So often an owner goes through its rows for its own last layer, before the common layers move.",
            example="10",
        )
        super().check(federation, num_rounds, seed=seed, after=after)
