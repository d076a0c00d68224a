"""What all aggregation rules share: how they are called, what they refuse, how they are shown.

A rule is anything that is called as ``rule(changes, weights)``, with the owners' changes (n, d) and their weights (n,),
and gives the aggregate (d,). It may also ask for ``before``, the aggregate of the round before (None in the first
round), and for ``root``, the server's own change, by naming a parameter so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card, code
from fedlab_nb.errors import RoundError, SettingError
from fedlab_nb.units import counted

Floats = NDArray[np.float64]
Rule = Callable[..., Floats]

# Models are made of 32-bit numbers, so that no honest change is larger, and squares of these fit into 64 bits.
LARGEST = float(np.finfo(np.float32).max)
SINGLE = ("single updates",)


def combine(
    rule: Rule, changes: Floats, weights: Floats, *, before: Floats | None = None, root: Floats | None = None
) -> Floats:
    """The aggregate (d,) by any rule, ours or a user's own, which gets of ``before`` and ``root`` what it asks for.

    >>> combine(lambda changes, weights: weights @ changes / weights.sum(), np.array([[2.0], [10.0]]), np.array([1, 3]))
    array([8.])
    """
    parameters = inspect.signature(rule).parameters.values()
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    asked = {p.name for p in parameters}
    extra = {name: value for name, value in (("before", before), ("root", root)) if takes_all or name in asked}
    return rule(changes, weights, **extra)


def needs_of(rule: Rule) -> tuple[str, ...]:
    """What a rule needs beyond a sum; a rule that does not say reads each owner's update by itself.

    >>> needs_of(lambda changes, weights: changes[0])
    ('single updates',)
    """
    needs: tuple[str, ...] = getattr(rule, "needs", SINGLE)
    return needs


def read(
    rule: object, changes: Floats, weights: Floats, before: Floats | None = None, *, least: int = 1
) -> tuple[Floats, Floats]:
    """The changes (n, d) and weights (n,) of a round in an order of their own, so that no order of owners matters.

    Raises:
        SettingError: shapes that do not fit together, or weights that are not above zero.
        RoundError: fewer than ``least`` owners, or a number that no model can hold.
    """
    name = type(rule).__name__
    changes, weights = np.asarray(changes, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if changes.ndim != 2 or weights.shape != changes.shape[:1]:
        raise SettingError(
            f"{name} was given changes of shape {changes.shape} and weights of shape {weights.shape}.",
            "It combines n owners' changes of d numbers each, and needs one weight for each owner.",
            "Stack the changes to an array of shape (n, d), and the weights to one of shape (n,).",
        )
    if before is not None and np.shape(before) != changes.shape[1:]:
        raise SettingError(
            f"{name} was given an aggregate of shape {np.shape(before)} from before, for changes of "
            f"{counted(changes.shape[1], 'number')}.",
            "What was aggregated in the round before has as many numbers as each change.",
            "Pass before= what the rule gave in the last round, or None in the first.",
        )
    _check_numbers(name, changes, weights)
    enough(rule, len(changes), least)
    order = sorted(range(len(changes)), key=lambda i: (changes[i].tobytes(), weights[i]))
    return changes[order], weights[order]


def _check_numbers(name: str, changes: Floats, weights: Floats) -> None:
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise SettingError(
            f"{name} was given a weight that is not a finite number above zero.",
            "An owner's weight is its number of rows, or 1; an owner without rows sends nothing.",
            "Leave owners without rows out of the round.",
        )
    sizes = np.maximum(changes.max(axis=1, initial=0.0), -changes.min(axis=1, initial=0.0))
    wrong = ~(sizes <= LARGEST)
    if wrong.any():
        raise RoundError(
            "server",
            "update",
            f"Update {int(wrong.argmax()) + 1} of {len(changes)} holds a number that is not finite, or that is beyond "
            "the range of 32-bit numbers.",
            "No rule can compare it with the others, and no model could hold it.",
            "Leave this owner out of the round, or lower its learning rate.",
        )


def enough(rule: object, present: int, least: int) -> None:
    """Refuse a round of fewer owners than ``rule`` needs.

    Raises:
        RoundError: with the numbers of both.
    """
    if present < least:
        raise RoundError(
            "server",
            "update",
            f"{rule!r} needs {counted(least, 'owner')} or more, and {present} took part in this round.",
            "With fewer it could not tell honest updates from the others.",
            "Bring more owners, raise the sample rate, or let the rule reckon with fewer attackers.",
        )


def gram(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """A centre (d,), the rows (n, d) around it, and their inner products (n, n), which hold all distances.

    The centre is the row of median length: as long as most owners are honest it is no longer than the longest honest
    row, so that distances between honest rows keep their digits however far away the others are.
    """
    lengths = np.einsum("ij,ij->i", rows, rows)
    centre = rows[np.argsort(lengths, kind="stable")[(len(rows) - 1) // 2]]
    around = rows - centre
    return centre, around, around @ around.T


def rule_card(title: str, formula: str, settings: Sequence[tuple[str, object]], *, weights: str, note: str = "") -> str:
    """Static HTML for one rule: its formula, its settings, and how owners count."""
    return card(title, [("The formula", code(formula)), *settings, ("How owners count", weights)], note)


ALIKE = "each owner alike, however many rows it has"
READS = "The server has to read each owner's update by itself: this rule does not go with encryption."
