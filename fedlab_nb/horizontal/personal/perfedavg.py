"""Per-FedAvg: a common model from which each owner is one step away from a good model of its own.

Source: Fallah, Mokhtari and Ozdaglar 2020, "Personalized federated learning with theoretical guarantees: a
model-agnostic meta-learning approach", Algorithm 1 and section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from fedlab_nb.horizontal.personal.kept import Floats, Personal
from fedlab_nb.horizontal.personal.pfedme import check_plain
from fedlab_nb.horizontal.prepare import Setup, some_hold_out
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_number
from fedlab_nb.learn import SGD, Batch
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.records import Round, State
from fedlab_nb.settings import check_setting

# A torch tensor; only the room "learn" knows torch.
Tensor = Any

Form = Literal["first-order", "Hessian-free"]

# The Hessian's product is a difference of gradients this far apart: 32-bit gradients still tell them apart well, and
# what is neglected is of the order of its square.
APART = 1e-2


@dataclass(frozen=True)
class OneStepAhead:
    """Local steps that lower loss(w - inner_lr * gradient of loss at w), each from several minibatches of its own.

        D1:  ahead <- w - inner_lr * g(w; D1)
        D2:  v <- g(ahead; D2);                                  first-order: w <- w - lr * v, and that is all
        D3:  w <- w - lr * (v - inner_lr * (g(w + s v; D3) - g(w - s v; D3)) / (2 s))

    g is the gradient (K, p). K owners may be at different ones of these turns, so that each has its ``turn`` (K, 1).
    """

    lr: float
    inner_lr: float
    form: Form

    @property
    def turns(self) -> int:
        """How many minibatches one step takes."""
        return 2 if self.form == "first-order" else 3

    def begin(self, w: Tensor) -> dict[str, Tensor]:
        """Whose turn it is (K, 1), the model one step ahead and the gradient there (K, p)."""
        return {"turn": w[:, :1] * 0.0, "ahead": w.clone(), "v": w * 0.0}

    def step(self, w: Tensor, batch: Batch, kept: Mapping[str, Tensor]) -> None:
        """One minibatch of K owners at once."""
        turn, ahead, v = kept["turn"], kept["ahead"], kept["v"]
        first, second, third = turn == 0, turn == 1, turn == 2
        reach = APART / v.norm(dim=1, keepdim=True).clamp(min=APART)
        here = w.where(first, ahead.where(second, w + reach * v))
        g = batch.gradient(here)
        if self.form == "first-order":
            w.copy_((w - self.lr * g).where(second, w))
        elif bool(third.any()):
            curved = (g - batch.gradient(w - reach * v)) / (2.0 * reach)
            w.copy_((w - self.lr * (v - self.inner_lr * curved)).where(third, w))
        ahead.copy_((w - self.inner_lr * g).where(first, ahead))
        v.copy_(g.where(second, v))
        turn.copy_((turn + 1.0) % self.turns)


@dataclass(frozen=True, repr=False)
class PerFedAvg(Personal):
    """Lowers the mean over owners of  loss_i(w - inner_lr * gradient of loss_i at w): the loss after one own step.

        w_i <- w_i - lr * (I - inner_lr * H_i(w_i)) g_i(w_i - inner_lr * g_i(w_i)),  w <- mean of w_i

    ``form`` says how the Hessian H_i comes in: "first-order" leaves it out (the paper's FO), "Hessian-free" takes its
    product with a vector as a difference of two gradients (the paper's HF). As in the paper, each gradient in a step
    has a minibatch of its own, so that a step takes two minibatches, or three; an owner that has fewer in a whole round
    sends no change (more ``local_epochs`` or a smaller ``batch_size`` help). Owners count the same unless ``weighting``
    says "rows".

    An owner's own model is one step, of size ``inner_lr`` over all its training rows, from the newest common model; it
    makes that step when it is to be scored, and says no more than that it is ready. Under a privacy mechanism nobody is
    asked for it: owners make that step for themselves.
    """

    weighting: Literal["rows", "equal"] | None = "equal"
    inner_lr: float = field(default=0.1, kw_only=True)
    form: Form = field(default="first-order", kw_only=True)

    title: ClassVar[str] = "Per-FedAvg: one step away from each owner's own model"
    formula: ClassVar[str] = "w lowers the mean of loss(w − inner_lr · ∇loss(w)) over the owners"

    @property
    def needs(self) -> tuple[str, ...]:
        """Own models, and with the Hessian the gradient of a gradient step."""
        return (*super().needs, *(("second-order row gradients",) if self.form == "Hessian-free" else ()))

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train for the loss after one own step, and send the change."""
        ends = at.train(OneStepAhead(at.lr, self.inner_lr, self.form))
        return {name: end.weights - at.weights for name, end in ends.items()}

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """One round of averaging; then each owner makes its own step from the new model."""
        new = super().step(state, federation, number, cohort, last=last)
        if not cohort or federation.house.protect is not None:
            return new
        own = self._adapted(new, federation, number)
        return State(new.weights, {**new.memory, **own}, new.context)

    def _adapted(self, state: State, federation: Federation, number: int) -> dict[str, Floats]:
        """What each owner keeps: the model one own step ahead. It sends a word, and no number."""
        setup: Setup = state.context  # type: ignore[assignment]
        side = self._side(self._learner(setup), state, federation, number)
        side.batch_size = None  # its step is over all rows at once

        def ahead(name: str, rows: Rows) -> str:
            local = LocalRound(side, {name: rows})
            (end,) = local.train(SGD(self.inner_lr), epochs=1).values()
            local.keep(name, personal=end.weights)
            side.kept.update(local.kept)
            return "ready"

        if not some_hold_out(federation):  # else it is sent to be scored
            federation.tell("model", state.weights["server"].astype(np.float32), number=number, to=federation.names)
        here = tuple(name for name in federation.names if name not in federation.losses.names)
        federation.hear("readiness", ahead, number=number, to=here, debits=dict.fromkeys(here, ()))
        return side.kept_without(())

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse another form than there is, an own step that leads nowhere, and what its steps know nothing of.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        super().check(federation, num_rounds, seed=seed, after=after)
        check_plain(self)
        why = "It is the length of the step from the common model to an owner's own."
        check_number(self, "inner_lr", above=True, why=why, example="0.1")
        forms = ("first-order", "Hessian-free")
        check_setting(
            "PerFedAvg",
            "form",
            self.form,
            fits=self.form in forms,
            wanted="one of " + ", ".join(map(repr, forms)),
            why="It says how the curvature of the owners' losses comes in.",
            example="'first-order'",
        )
