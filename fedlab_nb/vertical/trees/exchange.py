"""Sealed histograms: sums of gradients over the rows that other owners' candidates send left, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from fedlab_nb.channel.products import ProductSession
from fedlab_nb.crypto import Sealed
from fedlab_nb.crypto.products import Factors, ProductPlan
from fedlab_nb.vertical.shared import Meeting, Mine
from fedlab_nb.vertical.trees.columns.bins import Candidates, Floats
from fedlab_nb.vertical.trees.labels.gradients import BITS
from fedlab_nb.vertical.trees.labels.growing import Desk

FACTORS = "factors"


def take_sums(
    at: Meeting,
    session: ProductSession,
    desk: Desk,
    sizes: Mapping[str, tuple[int, int]],
    weights: Mapping[str, Floats],
    kind: str,
) -> None:
    """The desk takes what others' candidates make of the gradients of the nodes that it asks about, all at once.

    The owner of the labels has the key. It seals g and h, 0 for rows that are elsewhere; each of the others multiplies
    by a 0 or 1 for each row and candidate, and learns nothing; what comes back and is opened are the sums. ``sizes``
    has, by owner, how many nodes are asked about, and how many candidates it has: both ends know them. ``desk`` is
    there for the owner of the labels alone, and of ``weights`` each owner looks at its own.
    """
    plans = {
        name: ProductPlan(
            scheme=session.scheme, rows=at.rows, left=nodes, right=count, left_bits=BITS, right_bits=0, lanes=2
        )
        for name, (nodes, count) in sizes.items()
    }
    leader, number = at.labels_at, at.number

    def seal(mine: Mine, name: str) -> Sealed:
        return session.seal(plans[name], desk.columns(), number=number, kind=kind, sender=mine.name, to=name)

    def multiply(mine: Mine, came: Sealed) -> Sealed:
        plan = plans[mine.name]
        factors = _factors(mine, session, plan, Candidates.of(weights[mine.name]))
        return session.multiply(plan, [(came, factors)], number=number, kind=kind, sender=mine.name).sealed

    def take(_: Mine, sums: Mapping[str, Sealed]) -> None:
        for name, made in sums.items():
            desk.take(at.names.index(name), session.open(plans[name], made, number=number, kind=kind))

    sealed = {name: at.send(kind, partial(seal, name=name), sender=leader, to=name) for name in plans}
    sums = {
        name: at.send(f"sums of {kind}", partial(multiply, came=came), sender=name, to=leader)
        for name, came in sealed.items()
    }
    at.own(kind, partial(take, sums=sums), at=leader)


def _factors(mine: Mine, session: ProductSession, plan: ProductPlan, own: Candidates) -> Factors:
    """The answers of all rows to all candidates, encoded once for all nodes and trees: rows stay where they are."""
    block, found = mine.memory.get(FACTORS, (0, None))
    if found is None or block != plan.block:
        found = session.factors(plan, own.everything(mine.X).astype(float), sender=mine.name)
        mine.memory[FACTORS] = plan.block, found
    factors: Factors = found
    return factors


def forget_factors(at: Meeting) -> None:
    """Owners free the memory of what they multiplied with; it can be worked out again."""
    for name in at.others:
        at.own("factors", lambda mine: mine.memory.pop(FACTORS, None), at=name)
