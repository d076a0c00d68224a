"""Ditto: beside the common model each owner trains one of its own, held near the common one.

Source: Li et al. 2021, "Ditto: fair and robust federated learning through personalization", Algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from fedlab_nb.horizontal.personal.kept import Floats, Personal
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_number
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round


@dataclass(frozen=True, repr=False)
class Ditto(Personal):
    """The common model w is that of ``fl.FedAvg``; owner i's own model v_i lowers  loss_i(v) + lam / 2 * |v - w|^2.

        v_i <- v_i - lr * (gradient of loss_i at v_i + lam * (v_i - w)),  w the model that was sent

    v_i begins as the model of the owner's first round, and stays with its owner. With ``lam=0`` it is what the owner
    learns alone; the larger ``lam``, the nearer it stays to the common model, which owners who send nonsense can spoil:
    a smaller ``lam`` is then the better choice. Only the change of the common model is sent. The own model takes as
    many local steps.
    """

    lam: float = field(default=1.0, kw_only=True)

    title: ClassVar[str] = "Ditto: own models beside the common one"
    formula: ClassVar[str] = "w as in FedAvg;  own v lowers loss(v) + lam/2 · |v − w|²"

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train and send as in averaging; train the own model, and keep it."""
        sent = super().local(at)
        near = replace(self.rule(at.lr), prox=self.lam)
        own = at.train(near, start=at.own("personal", at.weights), anchor=dict.fromkeys(at.names, at.weights))
        for name, end in own.items():
            at.keep(name, personal=end.weights)
        return sent

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse a ``lam`` that is no number from 0 up, or one with which each step would overshoot.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        super().check(federation, num_rounds, seed=seed, after=after)
        most = 2.0 / self._lr(federation)
        why = f"It is how strongly own models are held near the common one; from 2 / lr = {most:g} on, steps overshoot."
        check_number(self, "lam", below=most, why=why, example="1.0")
