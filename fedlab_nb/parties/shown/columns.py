"""Who could learn what where owners hold different columns of the same rows."""

from __future__ import annotations

from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.parties.federation import Federation
from fedlab_nb.parties.shown.trust import crossings_of, from_an_owner
from fedlab_nb.records import Threat


def column_threats(federation: Federation) -> tuple[Threat, ...]:
    """What each party could learn, alone and with another, about ids and columns, if all follow the protocol or not."""
    crossed = crossings_of(federation)
    told = dict.fromkeys(
        c.kind for c in crossed if from_an_owner(c, federation) and c.receiver == "server" and not c.encrypted
    )
    answers = "".join(f", {kind} of each owner" for kind in told if kind not in HANDSHAKE)
    several = len(federation.names) > 2
    lines = [
        Threat("the server alone", f"how many ids each owner has and how many are common{answers}", None),
        Threat("another owner", "which of its own rows all owners have; nothing of another's columns", None),
        Threat(
            "an owner that invents ids", "which of them all other owners have: nobody can check that ids are true", None
        ),
    ]
    if several:
        what = "which of that owner's ids each of the others has"
        lines.append(Threat("the server with one owner", what, False))
        lines.append(Threat("two owners that put together what they saw", "which ids both of them have", None))
    if federation.house.encrypt is not None:
        lines += [
            Threat("the key holder alone", "the sums that it opens, of few rows too, and no row", None),
            Threat(
                "the key holder with an owner that multiplies", "every number that was sealed for that owner", False
            ),
            Threat(
                "an owner that multiplies by other numbers than its columns",
                "other sums than were asked for, such as one row's number: nobody can see it in a ciphertext",
                False,
            ),
        ]
    return (
        *lines,
        Threat("whoever sees the results", "whatever they give away about rows: nothing bounds it", None),
        Threat(
            "whoever controls this Python process",
            "everything: all parties live in it, their walls are simulated",
            False,
        ),
    )
