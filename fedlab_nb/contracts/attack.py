"""The laws of an attack, whoever wrote it: a function of what one party could read, and of nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fedlab_nb.contracts.report import Broken, Law, Report, examine
from fedlab_nb.contracts.trying.looking import (
    called,
    chance_put_back,
    digest,
    held_kind,
    scattered_chance,
    touched,
    used_by,
)
from fedlab_nb.contracts.trying.made_up import Door, Village, Watched
from fedlab_nb.contracts.trying.trial import named
from fedlab_nb.crypto import CKKS
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.horizontal import FedAvg
from fedlab_nb.learn import models
from fedlab_nb.ledger import Ledger, View
from fedlab_nb.parties import DataOwner, Federation, Rows
from fedlab_nb.rounds import rounds

Attack = Callable[..., object]


def check_attack(attack: Attack, view: View | None = None) -> Report:
    """Whether ``attack(view)`` keeps the laws of an attack, tried on what the parties of a small run could read.

    A view is what ``federation.seen_by("server")`` gives. Whatever else the attacker is to know, such as the model's
    shape or rows of its own, an attack gets when it is made; chance, as a generator called ``rng``. What it gives is
    free. An attack that is made for another model than a logistic one is tried on a ``view`` of your own.

    Raises:
        SettingError: a ``view`` that is none.

    >>> def largest(view):
    ...     return max((abs(m.payload).max() for m in view if m.kind == "update" and not m.encrypted), default=None)
    >>> check_attack(largest)
    Report(the attack largest: all 6 laws hold)
    """
    if view is not None and not isinstance(view, View):
        raise SettingError(
            f"The view is a {type(view).__name__}.",
            "An attack works on what one party could read, and on nothing else.",
            'Pass federation.seen_by("server"), or leave it out.',
        )
    case = _Case(attack, view)
    laws: list[tuple[str, Callable[[], None]]] = [
        ("It is called as attack(view), or as attack(view, rng).", case.called),
        ("It copes with every party's view, sealed and empty ones too, or refuses it in words.", case.every_view),
        ("It leaves the view that it is given as it is.", case.inputs),
        ("It knows nothing but the view: no federation, owner, rows or ledger are in its reach.", case.reach),
        ("Chance comes from rng only: generators that others share are left alone.", case.chance),
        ("From the same view and equal random numbers it finds the same, whatever it saw before.", case.again),
    ]
    with chance_put_back():
        return examine(f"the attack {called(attack)}", [Law(*law) for law in laws])


@dataclass(frozen=True)
class _Case:
    """An attack, and the views that it is tried on."""

    attack: Attack
    given: View | None

    @cached_property
    def views(self) -> list[View]:
        """The view that it is mainly tried on, then others."""
        own = [self.given] if self.given is not None else _recorded(None)
        return [*own, *_recorded(CKKS()), replace(own[0], messages=())]

    def found(self, view: View) -> object:
        """What it gives for a view."""
        chance = {"rng": np.random.default_rng(0)} if "rng" in inspect.signature(self.attack).parameters else {}
        return self.attack(view, **chance)

    def called(self) -> None:
        """Callable, with a view and no more, on the view that it is mainly tried on."""
        if not callable(self.attack):
            raise Broken(f"It is a {type(self.attack).__name__}, which cannot be called.", "Give it a __call__ method.")
        if inspect.isclass(self.attack):
            raise Broken(f"{self.attack.__name__} is a class.", f"Pass an object of it: {self.attack.__name__}(...).")
        plain = [p for p in inspect.signature(self.attack).parameters.values() if p.kind not in _MANY]
        asked = [p.name for p in plain[1:] if p.default is p.empty and p.name != "rng"]
        if not plain or asked:
            raise Broken(
                f"It asks for {' and '.join(asked)} beside the view." if asked else "It takes no view.",
                "Take one view, and rng where there is chance; give all else when the attack is made: a dataclass "
                "with __call__(self, view), or parameters with defaults.",
            )
        self._tried(self.views[0])

    def every_view(self) -> None:
        """All views."""
        for view in self.views[1:]:
            self._tried(view)

    def _tried(self, view: View) -> None:
        try:
            self.found(view)
        except FedLabError:
            return
        except Exception as error:
            sealed = any(message.encrypted for message in view)
            kind = (
                "an empty view" if not len(view) else f"{'a sealed' if sealed else 'an open'} view of the {view.party}"
            )
            write = "read-only" in str(error)
            raise Broken(
                f"On {kind} it raised {named(error)}.",
                "Work on copies of payloads: np.array(message.payload)."
                if write
                else "Take the messages that it can read, not message.encrypted and of the right kind and sender, and "
                "say that nothing was found where there is none.",
            ) from error

    def inputs(self) -> None:
        """The messages are the same afterwards."""
        for view in self.views:
            before = digest(view)
            self._tried(view)
            if digest(view) != before:
                raise Broken(
                    f"After the call the view of the {view.party} was another one.",
                    "Work on copies of payloads: np.array(message.payload).",
                )

    def reach(self) -> None:
        """Nothing in its parameters, closures and global names leads to rows."""
        names = used_by(self.attack)
        for where, thing in (
            ("what it was made with", self.attack),
            *((f"the name {n!r}", v) for n, v in names.items()),
        ):
            if kind := held_kind(thing, DataOwner, Federation, Rows, Ledger):
                raise Broken(
                    f"By {where} it reaches a {kind}.",
                    "Use the view alone: whatever it finds by another way, no attacker could.",
                )

    def chance(self) -> None:
        """Shared generators are as they were."""
        before = scattered_chance()
        self._tried(self.views[0])
        if moved := touched(before):
            raise Broken(
                f"It drew from, or seeded, the shared generator of {' and of '.join(moved)}.",
                "Take a parameter rng, a NumPy generator, and draw from it.",
            )

    def again(self) -> None:
        """Other views in between, and the same finding."""
        findings = []
        for view in (self.views[0], self.views[-1], self.views[0]):
            try:
                findings.append(digest(self.found(view)))
            except FedLabError as error:
                findings.append(error.what)
        if findings[0] != findings[2]:
            raise Broken(
                "For the same view it found something else when it was called again.",
                "Take a parameter rng and draw from it alone, and keep nothing between calls.",
            )


_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _recorded(encrypt: CKKS | None) -> list[View]:
    """What server, key holder and one owner could read in a round of a logistic model; the server first."""
    door = Door()
    village = Village.like(None)
    federation = Watched(replace(village, names=village.names[:3]).owners(door), door, encrypt=encrypt)
    for _ in rounds(federation, FedAvg(models.logistic()), num_rounds=1):
        pass
    return [federation.seen_by(party) for party in ("server", "key holder", federation.names[0])]
