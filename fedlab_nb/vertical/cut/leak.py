"""The attack on a split network: labels from nothing but the gradients that an owner without labels gets.

Source: Li et al. 2022, "Label leakage and protection in two-party split learning", ICLR, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import card
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.learn.metrics import exact_area
from fedlab_nb.ledger import View
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.road import charge
from fedlab_nb.records import Round
from fedlab_nb.vertical.align import align
from fedlab_nb.vertical.cut.order import GRADIENTS, batch_order
from fedlab_nb.vertical.shared.meeting import Meeting, Mine, Setup

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelLeak:
    """How well the owner ``party`` could tell labels apart from what it got in one round.

    AUC over all rows that were trained on, of the rarer class: ``norm`` by how long a row's gradient is, ``cosine`` by
    which way it points. 0.5 is a guess, 1.0 knows all.
    """

    party: str
    round: int
    rows: int
    norm: float
    cosine: float

    def __repr__(self) -> str:
        found = f"AUC by norm {self.norm:.3f}, by cosine {self.cosine:.3f}"
        return f"LabelLeak({self.party!r}, round {self.round}: {found})"

    def _repr_html_(self) -> str:
        rows = [
            ("Who looks", self.party),
            ("At what", f"the gradients that it got in round {self.round}, of {self.rows:,} rows"),
            ("AUC of labels by length of gradients", f"{self.norm:.3f}"),
            ("AUC of labels by direction of gradients", f"{self.cosine:.3f}"),
        ]
        note = (
            "0.5 is a guess, 1.0 knows every label. The owner of the labels compared; the other one had no label. "
            "Where noise hides labels, several rounds together tell more than one."
        )
        return card("Label leak of a split network", rows, note)


def lengths(gradients: Floats) -> Floats:
    """A score (n,) for each row: how long its gradient (n, cut) is. Rows of a rare class have longer ones."""
    return np.asarray(np.linalg.norm(gradients, axis=1))


def directions(gradients: Floats) -> Floats:
    """A score (n,) in [-1, 1] for each row: its gradient's cosine with the line along which gradients (n, cut) lie.

    Gradients of two classes point opposite ways. Which end of the line is called positive is open: here that of fewer
    rows.
    """
    size = np.linalg.norm(gradients, axis=1, keepdims=True)
    unit = np.divide(gradients, size, out=np.zeros_like(gradients), where=size > 0.0)
    # Of the covariance, not of all rows: the same line, from a matrix of the cut's width.
    cosines: Floats = unit @ np.linalg.eigh(unit.T @ unit)[1][:, -1]
    return -cosines if np.mean(cosines > 0.0) > 0.5 else cosines


def gradients_seen(view: View, number: int, rows: int) -> Floats:
    """The gradients (rows, cut) that a party got in round ``number``, in the order they came; newest run.

    They are taken times the batch's size, since each is a part of its batch's mean loss.

    Raises:
        SettingError: they are not all there.
    """
    found: list[Floats] = []
    for message in reversed(view.messages):
        if message.kind == GRADIENTS and message.round == number and message.receiver == view.party:
            if not isinstance(message.payload, np.ndarray) or sum(map(len, found)) >= rows:
                break
            found.append(len(message.payload) * message.payload)
    if sum(map(len, found)) != rows:
        raise SettingError(
            f"In the view of {view.party!r} there are gradients of {sum(map(len, found)):,} rows in round {number}, "
            f"not of all {rows:,}.",
            "The attack looks at what crossed in one round, and a ledger lets go of old messages to save memory.",
            "Name an owner without labels, and a round whose messages are still kept: record=run.history[-1].",
        )
    return np.concatenate(found[::-1])


def label_leak(federation: Federation, record: Round, party: str | None = None) -> LabelLeak:
    """How well an owner without labels tells labels apart in the round ``record`` of a split network of two classes.

    The attack looks at the messages that ``party`` (left out: the first owner without labels) got in that round and at
    nothing else; the owner of the labels compares, and tells the two figures. Which of the two groups is which class
    takes one known label; a direction's AUC is therefore told as if it were known. Of several runs of a federation it
    is the newest.

    Raises:
        SettingError: the round is none of a split network, or its messages are gone.
        RuleError: other labels than of two classes.

    Source: Li et al. 2022, section 3 (norm and cosine attacks). There the cosine is that with the gradient of one row
    of known label, here with the line on which all lie.
    """
    setup = record.state.context
    if not isinstance(setup, Setup):
        raise SettingError(
            f"Round {record.number} is not one of a vertical run.",
            "Only there does an owner get gradients of labels that another owner has.",
            "Pass a round of a split network: fl.vertical.label_leak(federation, run.history[-1]).",
        )
    if setup.task != "binary":
        raise RuleError(
            f"The attack was asked for labels of the kind {setup.task!r}.",
            "It tells two groups of rows apart, by the length or direction of their gradients.",
            "Try it on a target of two classes.",
        )
    party = party or setup.others[0]
    seen = gradients_seen(federation.seen_by(party), record.number, setup.rows)
    norm, cosine = _compared(federation, setup, record.number, [lengths(seen), directions(seen)])
    return LabelLeak(party, record.number, setup.rows, float(norm), float(max(cosine, 1.0 - cosine)))


def _compared(federation: Federation, setup: Setup, number: int, scores: Sequence[Floats]) -> Floats:
    """The AUC of each of the scores, which the owner of the labels works out and tells: its labels stay with it."""
    order = batch_order(setup, number)

    def compare(mine: Mine) -> Floats:
        y = mine.y[order]
        rarer = y > 0.5 if np.mean(y > 0.5) <= 0.5 else y < 0.5
        found = [exact_area(each, rarer) for each in scores]
        return np.array([0.5 if each is None else each for each in found])

    charge(federation, "how far labels leak", [setup.labels_at])
    at = Meeting(federation, align(federation), setup, federation.turn())
    return at.send("label leak", compare, sender=setup.labels_at, to="server")
