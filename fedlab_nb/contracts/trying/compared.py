"""What a strategy did, held against what it says, and against what it did at another time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedlab_nb.contracts.report import Broken
from fedlab_nb.contracts.trying.looking import digest, numbers_in, parts
from fedlab_nb.contracts.trying.made_up import Asked
from fedlab_nb.contracts.trying.trial import weights_of
from fedlab_nb.records import Round

# What a strategy may need that lets the server read something of one owner, or of a few.
SINGLE = ("single updates", "update norms", "owner losses", "owner statistics")
GROUPS = (*SINGLE, "group sums", "late arrivals")
# Far above rounding, and above the grid of encrypted numbers.
CLOSE = 1e-6


def check_asked(asked: Asked, cohort: Sequence[str], needs: tuple[str, ...]) -> None:
    """Refuse a question of a round that lets the server read more than ``needs`` say."""
    several = len(cohort) > 1
    if asked.verb == "hear" and asked.numbers and not {*needs} & {*SINGLE}:
        raise Broken(
            f"In a round it heard numbers ({asked.kind!r}) from each owner by itself, and its needs do not say so.",
            'Say needs = ("owner statistics",), or ("owner losses",) for losses; or add up with federation.gather.',
        )
    if asked.verb == "collect" and asked.numbers and not {*needs} & {*SINGLE}:
        raise Broken(
            f"It read each owner's {asked.kind!r} by itself (federation.collect), and its needs do not say so.",
            'Say needs = ("single updates",), or add up with federation.gather.',
        )
    if asked.verb == "gather" and several and len(asked.of) == 1 and not {*needs} & {*SINGLE, "late arrivals"}:
        raise Broken(
            f"It had a sum over one owner alone ({asked.kind!r}), and its needs do not say so.",
            'Give gather the whole cohort, or say needs = ("single updates",).',
        )
    if asked.verb == "gather" and several and len(asked.of) < len(cohort) and not {*needs} & {*GROUPS}:
        raise Broken(
            f"It had a sum over {len(asked.of)} of a round's {len(cohort)} owners, and its needs do not say so.",
            'Give gather the whole cohort, or say needs = ("group sums",).',
        )


def _bits(record: Round) -> str:
    state = record.state
    scores = repr([record.cohort, record.metrics, record.owner_metrics])
    return digest([record.number, dict(state.weights), dict(state.memory)]) + scores


def check_equal(runs: Sequence[Round], others: Sequence[Round], what: str, do: str) -> None:
    """Refuse rounds that differ in a bit, as far as both runs go."""
    for one, other in zip(runs, others, strict=False):
        if _bits(one) != _bits(other):
            raise Broken(f"{what} differed in round {one.number}.", do)


def check_near(runs: Sequence[Round], others: Sequence[Round], what: str, do: str) -> None:
    """Refuse rounds whose weights differ by more than rounding, as far as both runs go."""
    for one, other in zip(runs, others, strict=False):
        mine, theirs = weights_of(one.state), weights_of(other.state)
        if mine.shape != theirs.shape or np.abs(mine - theirs).max() > CLOSE * max(1.0, np.abs(theirs).max()):
            raise Broken(what, do)


def holds(thing: object, value: float) -> bool:
    """Whether a number or a text within reach of ``thing`` is, or names, this value."""
    if any(isinstance(part, str) and repr(value) in part for part in parts(thing)):
        return True
    return bool((np.abs(numbers_in(thing) - value) <= CLOSE * abs(value)).any())
