"""Which rows all owners have, and how many they are."""

from __future__ import annotations

from fedlab_nb.analytics.answers import Number
from fedlab_nb.analytics.apart.asked import question
from fedlab_nb.analytics.apart.training import rows_asked
from fedlab_nb.analytics.source import Source
from fedlab_nb.analytics.vertical.asking import SERVER, joint_facts
from fedlab_nb.parties.columns.road import own
from fedlab_nb.vertical import Alignment
from fedlab_nb.vertical import align as align_owners


@question("rows in common, by their ids")
def align(source: Source) -> Alignment:
    """Which rows all owners have: they look for them once."""
    with source.federation.in_use():
        return align_owners(source.federation)


@question("number of rows in common")
def rows(source: Source, epsilon: float | None) -> Number:
    """How many rows all owners have, or how many of them are trained on."""
    source.price(epsilon)
    with source.federation.in_use():
        found = rows_asked(source)
    left = "the number of ids that all owners have, found by their alignment"
    facts = joint_facts(source, "the number of rows in common", found, left, "every owner, and the server")
    return own(source.federation, "answer", lambda _: Number(float(found.rows), 0.0, facts), at=SERVER)
