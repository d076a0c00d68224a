"""What the guide says where owners have different columns of the same rows."""

from __future__ import annotations

from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.project.parties import Parties
from fedlab_nb.records import Threat
from fedlab_nb.units import counted


def of_columns(parties: Parties, agreement: Agreement) -> dict[str, str]:
    """What the guide says of a training of owners with different columns alone."""
    target, rounds = parties.target or "the column that its owner names", counted(agreement.num_rounds, "round")
    return {
        "does": "train one model",
        "work": f"- **Trained:** `{agreement.strategy!r}`, {rounds}, to predict `{target}`, which {parties.labels_at} "
        "has\n- **How:** every party runs the protocol itself and takes no orders. What owners send each other is "
        "sealed from end to end; the server passes it on, and says only when a round begins",
        "results": "the scores of the model, whose parts stay at their owners",
        "task": "",
        "read_as": "",
        "trips": "A message from one party to another takes one of them; how many follow each other in a round depends "
        "on the strategy, and the log counts them.",
        "lost": "a round in which a party is missing fails, and ends the run: nobody else has its columns",
    }


def told_between(agreement: Agreement) -> list[Threat]:
    """What parties learn from the protocol itself, as the strategy says it, and from how it is carried out."""
    return [
        *(Threat(who, what, None) for who, what in agreement.strategy.learns),
        Threat(
            "every party, of each owner",
            "at the beginning the names and kinds of its columns, what it declares of them, and its share of held-out "
            "rows; the server also what it has given away so far",
            None,
        ),
        Threat(
            "the server, of messages between others",
            "who sends which kind of message to whom, when, and how large it is; no number in it",
            True,
        ),
    ]
