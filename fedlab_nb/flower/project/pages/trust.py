"""Who can read what once the parties are processes on machines of their own: computed from what they agreed on."""

from __future__ import annotations

from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.project.pages.columns import told_between
from fedlab_nb.flower.project.parties import Parties
from fedlab_nb.parties.shown.threats import threats
from fedlab_nb.records import Threat
from fedlab_nb.units import listed

# Of a notebook alone: there all parties live in one process.
_ONE_PROCESS = "whoever controls this Python process"
_BEGINNING = (
    "at the beginning its columns and what it declares of them, its budget, what it has given away so far, and its "
    "share of held-out rows"
)


def threats_apart(parties: Parties, agreement: Agreement, *, asking: bool = False) -> tuple[Threat, ...]:
    """What each could learn: what the settings give away, and what comes with machines in place of one process.

    ``asking`` says that it is about questions, and no training.
    """
    known = [threat for threat in threats(parties.without_rows) if threat.who != _ONE_PROCESS]
    told = told_between(agreement) if agreement.vertical else [_told(parties, asking=asking)]
    return (*known, *told, *_machines(parties))


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


def _machines(parties: Parties) -> list[Threat]:
    holder = [
        Threat(
            "whoever runs the key holder's machine", "the secret key of each run: as the key holder alone, above", None
        )
    ]
    return [
        Threat(
            "whoever runs the server's machine, and means harm",
            "everything that the SuperNodes' users can read: Flower lets it send every site another app. The lines "
            "above hold for a server that runs this project as it is, and is curious",
            False,
        ),
        Threat("whoever runs an owner's machine", "that owner's rows and the model; no other owner's rows", None),
        *(holder if parties.has_key_holder else []),
        Threat(
            "whoever reaches the SuperLink's port and is not stopped by a firewall",
            "the log of each run, with models and scores; and, at every site, all that the SuperNode's user can read: "
            "it can have sites run an app of its own",
            False,
        ),
        Threat("whoever listens on the line", "that parties talk, when, and how much: TLS hides the rest", True),
    ]
