"""Who can read what once the parties are processes on machines of their own: computed from what they agreed on."""

from __future__ import annotations

from dataclasses import replace

from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.project.pages.columns import told_between
from fedlab_nb.flower.project.pages.joint.predictions import multiplies
from fedlab_nb.flower.project.parties import Parties
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.parties.shown.threats import threats
from fedlab_nb.records import Threat
from fedlab_nb.units import listed
from fedlab_nb.vertical import JointPrediction

_BEGINNING = (
    "at the beginning its columns and what it declares of them, its budget, what it has given away so far, and its "
    "share of held-out rows"
)


# Of questions a threat is read in other words: each owner sends its part of a sum, and there is no model.
_ASKED = (
    ("this owner's update: the model's change less its own", "this owner's part of an answer that it is told"),
    ("the model of every round", "what is asked, and what later questions build on, such as all owners' categories"),
    ("the model, and every update", "every part of a sum"),
    ("the sum of the updates", "each sum that is asked for"),
    (", the model", ""),
    ("the model and its scores give", "the answers give"),
    ("updates", "parts of sums"),
    ("update", "part of a sum"),
)


def threats_apart(parties: Parties, agreement: Agreement, *, asking: bool = False) -> tuple[Threat, ...]:
    """What each could learn: what the settings give away, and what comes with machines in place of one process.

    ``asking`` says that it is about questions, and no training.
    """
    return (
        *threats_between(parties, agreement, asking=asking),
        *_keys(agreement, asking=asking),
        *_machines(parties, agreement, asking=asking),
    )


def threats_between(parties: Parties, agreement: Agreement, *, asking: bool = False) -> tuple[Threat, ...]:
    """What parties that do as agreed could learn, wherever they are: the first part of ``threats_apart``."""
    known = threats(parties.without_rows)
    if asking and not agreement.vertical:
        known = tuple(map(_of_sums, known))
    if agreement.vertical:
        kept = [threat for threat in known if not _is_known_better(threat, parties, agreement)]
        # That holds as long as nothing has crossed but ids.
        known = tuple(replace(t, could_read=t.could_read.removesuffix("; nothing of another's columns")) for t in kept)
    told = told_between(agreement) if agreement.vertical else [_told(parties, asking=asking)]
    return (*known, *told)


def beside_key_holder(agreement: Agreement, *, asking: bool) -> str:
    """Which other machine must not be run by whoever runs the key holder's, a line; "" if the table says it all."""
    if not agreement.vertical:
        what = "part of a sum" if asking else "update"
        return f"Whoever runs this machine and the server's together can read every single {what}.\n"
    if not multiplies(agreement):
        return ""
    return "Whoever runs this machine and an owner's can read every number that was sealed for that owner.\n"


def _of_sums(threat: Threat) -> Threat:
    who, what = threat.who, threat.could_read
    for word, other in _ASKED:
        who, what = who.replace(word, other), what.replace(word, other)
    return replace(threat, who=who, could_read=what)


def _is_known_better(threat: Threat, parties: Parties, agreement: Agreement) -> bool:
    """Whether the strategy says it for itself: who opens sums, and whether there is a key holder and any product."""
    if isinstance(agreement.strategy, Questions):
        sealed = parties.has_key_holder and agreement.strategy.multiplies
        return not sealed and threat.who.startswith(("the key holder", "an owner that multiplies"))
    if threat.who.startswith("the key holder"):
        if isinstance(agreement.strategy, JointPrediction):  # nothing is sealed for it then
            return True
        return threat.who == "the key holder alone" or not parties.has_key_holder
    return threat.who.startswith("an owner that multiplies") and not multiplies(agreement)


def _keys(agreement: Agreement, *, asking: bool) -> list[Threat]:
    """What a server could read that hands out keys of its own in place of the parties'."""
    if not agreement.seals:
        return []
    sealed = "all that it seals" if agreement.vertical else "each part of a sum" if asking else "each of its updates"
    what = (
        f"of an owner that has not noted all other parties' fingerprints, {sealed}; one that has refuses such keys "
        "(section 3)"
    )
    return [Threat("a server that puts in keys of its own", what, None)]


def _told(parties: Parties, *, asking: bool) -> Threat:
    """What owners tell the server by themselves, beside sums."""
    told = [_BEGINNING]
    schemas = [owner.schema for owner in parties.owners if owner.schema is not None]
    columns = [column for schema in schemas for column in (*schema.features, schema.target)]
    open_lists = dict.fromkeys(c.name for c in columns if c.kind == "category" and c.categories is None)
    if open_lists:
        told.append(f"the categories that it has in {listed(open_lists)}, as nobody declared them")
    elif not schemas:
        told.append("the categories that it has in columns for which none are declared")
    told += _answers(parties) if asking else _scores(parties)
    return Threat("the server, of each owner by itself", "; ".join(told), None)


def _answers(parties: Parties) -> list[str]:
    noise = ", each with all of its noise" if parties.house.protect is not None else ""
    return [f"its own counts where a question is about each owner, as missing() and drift() are{noise}"]


def _scores(parties: Parties) -> list[str]:
    if parties.house.protect is not None:
        return ["a noisy verdict on the model, within its budget"]
    held_out = any(owner.held_out for owner in parties.owners)
    return ["after each round the score of the model on its own held-out rows, exactly"] if held_out else []


def _machines(parties: Parties, agreement: Agreement, *, asking: bool) -> list[Threat]:
    own, logged = "that owner's rows and the model; no other owner's rows", "with models and scores"
    if asking:
        own, logged = "that owner's rows, and what this owner is told, above", "with all answers"
    if agreement.vertical and not asking:
        own, logged = "that owner's rows, its part of the model, and what this owner is told, above", "with scores"
    if isinstance(agreement.strategy, JointPrediction):
        logged = "with the number of rows in common"
    return [
        Threat(
            "whoever runs the server's machine, and means harm",
            "everything that the SuperNodes' users can read: Flower lets it send every site another app. The lines "
            "above hold for a server that runs this project as it is, and is curious",
            False,
        ),
        Threat("whoever runs an owner's machine", own, None),
        *([_HOLDER] if parties.has_key_holder else []),
        *([_DRIVER] if agreement.driven else []),
        Threat(
            "whoever reaches the SuperLink's port and is not stopped by a firewall",
            f"the log of each run, {logged}; and, at every site, all that the SuperNode's user can read: it can have "
            "sites run an app of its own",
            False,
        ),
        Threat("whoever listens on the line", "that parties talk, when, and how much: TLS hides the rest", True),
    ]


_HOLDER = Threat("whoever runs the key holder's machine", "the secret key of each run: as the key holder, above", None)
_DRIVER = Threat(
    "whoever runs the notebook's machine",
    "as its node no row, key, update or model. It could choose numbers with which the model gives away more, and, "
    "without a privacy mechanism, fewer owners a round. To watch, it reaches the SuperLink's port, as below",
    None,
)
