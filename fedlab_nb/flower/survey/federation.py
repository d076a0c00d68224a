"""Owners elsewhere who are asked questions: their own answers are looked at, and no release is paid for twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import RuleError
from fedlab_nb.flower.federation import RemoteFederation
from fedlab_nb.flower.orders.hooks import ServersWriting
from fedlab_nb.flower.orders.sites import Sites
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.parties.house import House
from fedlab_nb.records import PrivacyEvent, Schema, Update

Floats = NDArray[np.float64]
Debits = Mapping[str, Sequence[PrivacyEvent]]


class AskedFederation(RemoteFederation):
    """As RemoteFederation; a question that was released under noise is known as long as the server's process lasts.

    Raises:
        RuleError: its owners have ids, and so different columns.
    """

    def __init__(self, names: Sequence[str], house: House, sites: Sites, writing: ServersWriting) -> None:
        super().__init__(names, house, sites, writing)
        _check_same_columns(self.schema)
        self._sums: dict[str, Update] = {}
        self._said: dict[str, Floats | str] = {}

    def gather(self, kind: str, work: Any, *, asked: str = "", **terms: Any) -> Update:
        """As ``Federation.gather``: an equal question with equal noise is answered with what was released."""
        facts = [terms.get(name) for name in ("bound", "noise_sd", "step", "debits")]
        question = self.books.question(self.house, kind, terms["cohort"], asked, *facts)
        if question not in self._sums:
            found = super().gather(kind, work, asked=asked, **terms)
            if not question:
                return found
            self._sums[question] = found
        return self._sums[question]

    def hear(
        self,
        kind: str,
        work: Callable[..., Floats | str],
        *,
        number: int,
        debits: Debits,
        to: Sequence[str] | None = None,
        asked: str = "",
    ) -> dict[str, Floats | str]:
        """As ``Federation.hear``: what an owner said to an equal question is known."""
        names = self.names if to is None else tuple(to)
        questions = {name: self.books.question(self.house, kind, [name], asked, debits[name]) for name in names}
        new = [name for name in names if questions[name] not in self._said]
        answers = super().hear(kind, work, number=number, debits=debits, to=new, asked=asked) if new else {}
        for name, answer in answers.items():
            if questions[name]:
                self._said[questions[name]] = answer
        return {name: answers[name] if name in answers else self._said[questions[name]] for name in names}


def _check_same_columns(schema: Schema) -> None:
    if is_vertical(schema):
        raise RuleError(
            "The owners that came have an id, and so different columns; the questions are for owners of the same ones.",
            "Owners of different columns carry out what they agreed on beforehand, question by question, and here "
            "nobody wrote these down: nothing was known of the columns when the questions were exported.",
            "Export with a federation in place of names; its owners may hold invented rows with the same columns.",
        )
