"""What the guide says where owners have different columns of the same rows."""

from __future__ import annotations

import math
from typing import Any

from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.project.pages.asked import told_by_answers
from fedlab_nb.flower.project.pages.joint.predictions import of_prediction, told_by
from fedlab_nb.flower.project.pages.markdown import code, plain
from fedlab_nb.flower.project.parties import Parties
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.records import Threat
from fedlab_nb.units import counted
from fedlab_nb.vertical import JointPrediction, SecureBoost, SplitNN, Transfer
from fedlab_nb.vertical.descent.model import LinearModel

# Trips of a step, by how many owners there are: with three or more they mask what they add up. A score takes two, where
# it does not travel with the next round: a notebook that may hold the run is told of each round before the next begins.
_STEP, _STEP_OF_MORE, _SCORE = 6, 8, 2
_EXAMPLE = 2_000
# Seconds that a trip takes, in round numbers.
_SECONDS = 5


def of_columns(parties: Parties, agreement: Agreement) -> dict[str, str]:
    """What the guide says of a training of owners with different columns, or of a prediction of theirs."""
    if isinstance(agreement.strategy, JointPrediction):
        return of_prediction(agreement)
    target, rounds = (
        code(parties.target) if parties.target else "the column that its owner names",
        counted(agreement.num_rounds, "round"),
    )
    return {
        "does": "train one model",
        "work": f"- **Trained:** {code(repr(agreement.strategy))}, {rounds}, to predict {target}, which "
        f"{plain(parties.labels_at)} has\n- **How:** every party runs the protocol itself and takes no orders. What "
        "owners send each other is sealed from end to end, by keys that hold against the server as far as fingerprints "
        "were noted (section 3); it passes all on, and says only when a round begins",
        "results": "the scores of the model; what owners send each other, sealed",
        "keeps": ", its part of the model",
        "task": "",
        "trips": f"A message from one party to another takes one of them. {_trips(agreement)}",
        "lost": "a round in which a party is missing fails, and ends the run: nobody else has its columns. Where a run "
        "ends in the middle of a round, as by `flwr stop`, sites may have parts a round apart, and no prediction takes "
        "those: train anew",
    }


def told_between(agreement: Agreement) -> list[Threat]:
    """What parties learn from the protocol itself, as the strategy says it, and from how it is carried out."""
    strategy = agreement.strategy
    if isinstance(strategy, JointPrediction):
        return [*told_by(agreement), *_CARRIED_OUT]
    if isinstance(strategy, Questions):
        return [*told_by_answers(agreement), *_CARRIED_OUT]

    def is_left_out(who: str) -> bool:
        return who.endswith("with woe=") and getattr(strategy, "woe", None) is None

    return [
        *(Threat(who, what, _verdict(strategy, who, what)) for who, what in strategy.learns if not is_left_out(who)),
        *_CARRIED_OUT,
    ]


# What is told by how a protocol is carried out, whichever it is.
_CARRIED_OUT = (
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
)


def _verdict(strategy: Any, who: str, what: str) -> bool | None:
    """What a party learns from the protocol as the card of a run says it once such messages have crossed."""
    if what.startswith("nothing"):
        return True
    exposed = isinstance(strategy, SplitNN | SecureBoost) and who == "the owner of the labels"
    exposed |= isinstance(strategy, SplitNN) and strategy.defence is None and who == "every other owner"
    exposed |= isinstance(strategy, Transfer) and who == "the other owner"
    return False if exposed else None


def _trips(agreement: Agreement) -> str:
    """How many trips follow each other in a round, as counted over owners of two hundred rows and more."""
    strategy, score = agreement.strategy, _SCORE if agreement.driven else 0
    if isinstance(strategy, LinearModel):
        step = _STEP if len(agreement.names) == 2 else _STEP_OF_MORE
        return _of_steps(strategy.batch_size, step, score, "the first one some 10 more")
    if isinstance(strategy, SplitNN):
        return _of_steps(strategy.batch_size, 2, score, "the first one some 7 more")
    if isinstance(strategy, SecureBoost):
        return (
            "A round takes 8 to 60 of them, by how deep its trees grow, the first one some 10 more: one to five "
            "minutes. The log counts them."
        )
    if isinstance(strategy, Transfer):
        return f"A round takes about {4 + score} of them, the first one 16: up to a minute and a half."
    return "How many follow each other in a round depends on the strategy, and the log counts them."


def _of_steps(batch_size: int | None, step: int, score: int, first: str) -> str:
    if batch_size is None:
        return f"A round takes about {step + score} of them, {first}: {(step + score) * _SECONDS} seconds."
    trips = math.ceil(_EXAMPLE / batch_size) * step + score
    return (
        f"Every batch of {batch_size:,} rows takes {step} of them one after the other, {first}: of {_EXAMPLE:,} rows "
        f"in common to train on, a round takes {trips:,}, about {max(round(trips * _SECONDS / 60), 1):,} minutes. "
        "Larger batches make it shorter."
    )
