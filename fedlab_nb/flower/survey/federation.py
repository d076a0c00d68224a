"""Owners elsewhere who are asked questions: their own answers are looked at, and no release is paid for twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.analytics.asking import MOST_CATEGORIES
from fedlab_nb.errors import RoundError
from fedlab_nb.flower.federation import RemoteFederation
from fedlab_nb.flower.orders.hooks import ServersWriting
from fedlab_nb.flower.orders.sites import Sites
from fedlab_nb.parties.house import House
from fedlab_nb.records import PrivacyEvent, Update

Floats = NDArray[np.float64]
Debits = Mapping[str, Sequence[PrivacyEvent]]


class AskedFederation(RemoteFederation):
    """As RemoteFederation; a question that was released under noise is known as long as the server's process lasts."""

    def __init__(self, names: Sequence[str], house: House, sites: Sites, writing: ServersWriting) -> None:
        super().__init__(names, house, sites, writing)
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
        """As ``Federation.hear``: what an owner said to an equal question is known.

        Raises:
            RoundError: naming an owner that answered with something else than was asked for.
        """
        names = self.names if to is None else tuple(to)
        questions = {name: self.books.question(self.house, kind, [name], asked, debits[name]) for name in names}
        new = [name for name in names if questions[name] not in self._said]
        answers = super().hear(kind, work, number=number, debits=debits, to=new, asked=asked) if new else {}
        for name, answer in answers.items():
            _check(name, work, answer)
            if questions[name]:
                self._said[questions[name]] = answer
        return {name: answers[name] if name in answers else self._said[questions[name]] for name in names}


def _check(name: str, work: Any, answer: Floats | str) -> None:
    """Refuse an answer of another kind or length than the question has, or with what is no number."""
    inside = dict(zip(work.__code__.co_freevars, work.__closure__ or (), strict=True))
    if "question" in inside:
        size = inside["question"].cell_contents.scale.size
        numbers = isinstance(answer, np.ndarray) and answer.dtype == np.float64 and answer.shape == (size,)
        fits = numbers and bool(np.isfinite(answer).all())
        wanted = f"{size:,} finite numbers"
    else:
        fits = isinstance(answer, str) and _is_list(answer, inside["columns"].cell_contents)
        wanted = "the values of some columns"
    if not fits:
        raise RoundError(
            name,
            "answer",
            f"{name!r} answered with something else than {wanted}.",
            "It would have spoilt the answer, or ended the run without a word of who it was.",
            "Nothing of it is used: ask who runs that site which code it runs.",
        )


def _is_list(answer: str, columns: Sequence[str]) -> bool:
    try:
        named = json.loads(answer)
    except ValueError:
        return False
    if not isinstance(named, dict) or [*named] != [*columns]:
        return False
    lists = [*named.values()]
    short = all(isinstance(values, list) and len(values) <= MOST_CATEGORIES + 1 for values in lists)
    return short and all(isinstance(value, str | int | float) for values in lists for value in values)
