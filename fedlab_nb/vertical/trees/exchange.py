"""Sealed histograms: sums of gradients over the rows that another owner's candidates send left, and nothing else."""

from __future__ import annotations

from fedlab_nb.channel.products import ProductSession
from fedlab_nb.crypto import Sealed
from fedlab_nb.crypto.products import Factors, ProductPlan
from fedlab_nb.vertical.shared import Meeting, Mine
from fedlab_nb.vertical.trees.columns.bins import Candidates
from fedlab_nb.vertical.trees.labels.gradients import BITS
from fedlab_nb.vertical.trees.labels.growing import Desk

FACTORS = "factors"


def sums_of(at: Meeting, session: ProductSession, desk: Desk, level: int, name: str, own: Candidates) -> None:
    """The desk takes what the candidates of ``name`` make of the gradients of the nodes that it asks about.

    The owner of the labels has the key. It seals g and h, 0 for rows that are elsewhere; ``name`` multiplies by a 0 or
    1 for each row and candidate, and learns nothing; what comes back and is opened are the sums. ``own`` are the
    candidates of ``name``, which only it looks at; how many they are it has told.
    """
    leader, kind, number = at.labels_at, f"gradients, level {level + 1}", at.number
    plan = ProductPlan(
        scheme=session.scheme,
        rows=at.rows,
        left=len(desk.asked),
        right=len(own),
        left_bits=BITS,
        right_bits=0,
        lanes=2,
    )

    def seal(_: Mine) -> Sealed:
        lanes = desk.columns()
        return session.seal(plan, lanes, number=number, kind=kind, sender=leader, to=name)

    def multiply(mine: Mine) -> Sealed:
        factors = _factors(mine, session, plan, own)
        return session.multiply(plan, [(sealed, factors)], number=number, kind=kind, sender=name).sealed

    sealed = at.send(kind, seal, sender=leader, to=name)
    sums = at.send(f"sums of {kind}", multiply, sender=name, to=leader)
    place = at.names.index(name)
    at.own(kind, lambda _: desk.take(place, session.open(plan, sums, number=number, kind=kind)), at=leader)


def _factors(mine: Mine, session: ProductSession, plan: ProductPlan, own: Candidates) -> Factors:
    """The answers of all rows to all candidates, encoded once for all nodes and trees: rows stay where they are."""
    block, found = mine.memory.get(FACTORS, (0, None))
    if found is None or block != plan.block:
        found = session.factors(plan, own.everything(mine.X).astype(float), sender=mine.name)
        mine.memory[FACTORS] = plan.block, found
    factors: Factors = found
    return factors
