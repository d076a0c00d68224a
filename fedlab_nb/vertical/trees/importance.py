"""How much each column helps: what its splits have won, and how many there are; names of others' columns stay hidden.

Who learns what, if all follow the protocol:
    another owner    what each split by a candidate of its own has won.
    the owner of the labels    of every other owner's columns that are asked about, under a number ("shop feature 3"),
        how many splits they have and what these have won; the numbers follow the order of handles, not of columns.
    the server    the same of all owners, and the names of those columns whose names are not hidden.
"""

from __future__ import annotations

import json
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.records import State
from fedlab_nb.vertical.shared import Meeting, Mine
from fedlab_nb.vertical.trees.columns.bins import Candidates
from fedlab_nb.vertical.trees.forest import GAIN, HANDLE, OWNER, Forest, read_labels_part

Floats = NDArray[np.float64]
T = TypeVar("T")

WON, HELPED = "what candidates have won", "importance of features"


class Importance(NamedTuple):
    """One column, or one category of it: the owner, its name or number, and its splits."""

    owner: str
    feature: str
    splits: int
    gain: float


def importances(at: Meeting, state: State, rounds: int, *, hide_names: bool) -> list[Importance]:
    """The features that trees of the first ``rounds`` ask about, as the owner of the labels tells the server."""
    leader = at.labels_at
    own, forest = read_labels_part(state.weights[leader])
    forest = forest.first(rounds)
    found = []
    for place, name in enumerate(at.names):
        theirs = own if name == leader else Candidates.of(state.weights[name])
        totals, names = _of_owner(at, name, theirs, _won(forest, place), hidden=hide_names and name != leader)
        at.send(HELPED, partial(_given, json.dumps([name, *names])), sender=leader, to="server")
        at.send(HELPED, partial(_given, totals), sender=leader, to="server")
        found += [
            Importance(name, feature, int(splits), float(gain))
            for feature, (splits, gain) in zip(names, totals, strict=True)
        ]
    return sorted(found, key=lambda each: -each.gain)


def _given(payload: T, _: Mine) -> T:
    return payload


def _of_owner(
    at: Meeting, name: str, own: Candidates, won: Floats, *, hidden: bool
) -> tuple[Floats, list[str]]:  # fmt: skip
    """Splits and gains (k, 2) of an owner's features that are asked about, and what they are called."""
    inputs = at.setup.readings[name].inputs
    if name == at.labels_at:
        numbers, totals = _by_feature(own, won)
        return totals, [inputs[own_features(own)[number - 1]] for number in numbers]
    told = at.send(WON, lambda _: won, sender=at.labels_at, to=name)
    summed: Floats = at.send(HELPED, lambda _: _told(own, told), sender=name, to=at.labels_at)
    if hidden:
        return summed[:, 1:], [f"{name} feature {int(number)}" for number in summed[:, 0]]

    def named(_: Mine) -> str:
        return json.dumps([inputs[own_features(own)[int(number) - 1]] for number in summed[:, 0]])

    return summed[:, 1:], json.loads(at.send(HELPED, named, sender=name, to=at.labels_at))


def own_features(own: Candidates) -> list[int]:
    """An owner's features in the order in which their first handles come: number 1 is the first one."""
    return list(dict.fromkeys(int(feature) for feature in own.table[:, 0]))


def _won(forest: Forest, owner: int) -> Floats:
    """Handles and gains (s, 2) of the splits by candidates of one owner."""
    nodes = forest.nodes.reshape(-1, 4)
    found: Floats = nodes[nodes[:, OWNER] == owner][:, [HANDLE, GAIN]]
    return found


def _told(own: Candidates, won: Floats) -> Floats:
    numbers, totals = _by_feature(own, won)
    return np.column_stack([np.array(numbers, dtype=np.float64).reshape(-1, 1), totals])


def _by_feature(own: Candidates, won: Floats) -> tuple[list[int], Floats]:
    """The numbers of the features with splits, and how many they have and what these have won (k, 2)."""
    order = {feature: number for number, feature in enumerate(own_features(own), 1)}
    each = np.array([order[int(own.table[int(handle), 0])] for handle in won[:, 0]], dtype=np.int64)
    numbers = sorted(set(each.tolist()))
    totals = [(float((each == number).sum()), float(won[each == number, 1].sum())) for number in numbers]
    return numbers, np.array(totals, dtype=np.float64).reshape(-1, 2)
