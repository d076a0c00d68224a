"""Who could learn what where owners hold different columns of the same rows."""

from __future__ import annotations

from dataclasses import replace

from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.parties.federation import Federation
from fedlab_nb.parties.shown.kinds import FOR_A_KEY, KINDS, family
from fedlab_nb.parties.shown.trust import crossings_of, from_an_owner, has_key
from fedlab_nb.records import Message, Threat

# What follows once such messages have crossed, from whoever sent them to whoever is named.
_ONCE_CROSSED: dict[str, tuple[Threat, ...]] = {
    "padded gradient": (
        Threat(
            "each owner",
            "its own gradient at every step: sums over rows in common; the fewer rows for each input, the more of "
            "labels and scores can be worked out from them",
            None,
        ),
    ),
    "representation pieces": (
        Threat(
            "the owner without labels",
            "sums in which labels are mixed, at every step: if few rows are in common it can work out labels",
            False,
        ),
    ),
    "direction of labels": (
        Threat(
            "the owner of the labels",
            "of each row in common that is held out or predicted the score, which is a weighted sum of what the other "
            "owner makes of it",
            None,
        ),
    ),
    "importance of features": (
        Threat("who is told the importance of features", "how much each owner's columns help to predict", None),
    ),
    "partial score": (
        Threat(
            "the owner of the labels",
            "of each row that is held out or predicted, what the other owner's columns add to its score; after as many "
            "rounds as that owner has inputs, these inputs of held-out rows but for an unknown mixing",
            None,
        ),
    ),
    "partial score, masked": (
        Threat(
            "the owner of the labels",
            "of each row that is held out or predicted, what all other owners' columns together add to its score",
            None,
        ),
        Threat(
            "the owner of the labels with all other owners but one",
            "what this one's columns add to the score of each row",
            None,
        ),
    ),
    "number of candidates": (
        Threat(
            "the owner of the labels",
            "sums over the rows that each split of another owner sends left, not knowing which column it asks; in "
            "small nodes, or after many trees, it can work out which rows they are",
            False,
        ),
    ),
    "left or right": (
        Threat("the owner of the labels", "which rows each split that was chosen of another owner sends left", None),
    ),
    "rows of nodes": (
        Threat(
            "another owner, of nodes that it divides",
            "which rows are together there, and so likelier to have the same label; the same of rows that are "
            "predicted",
            None,
        ),
    ),
    "activations": (
        Threat(
            "the owner of the labels",
            "the activations of every row, number by number: rows with like columns are alike there, and it can try "
            "to work back to columns",
            False,
        ),
    ),
    "activation gradients": (
        Threat(
            "another owner",
            "the gradient at its activations of every row: without a defence it groups rows by label almost without "
            "error",
            False,
        ),
    ),
    "number of cells": (
        Threat("another owner, of questions across owners", "into how many cells another's columns are cut", None),
    ),
    "which columns are complete": (
        Threat("another owner, of correlations", "whether another's columns lack values", None),
    ),
    "which columns are left": (
        Threat("another owner, of a selection", "which numeric columns, of all owners, have enough evidence", None),
    ),
    "filters of rows": (
        Threat(
            "the server, of linked rows",
            "a pseudonym of each: who knows which names are frequent can guess some of them",
            False,
        ),
        Threat("the server with an owner", "whether a guess of a name at the other owner is right", False),
    ),
    "model part, given with consent": (
        Threat(
            "the owner of the labels, by consent",
            "the other owners' weights, and how they read their columns: means, spreads, categories",
            None,
        ),
    ),
}


# What follows from how rows are found: by ids that all owners have, or by what is alike.
_OF_IDS = (
    Threat("another owner", "which of its own rows all owners have", None),
    Threat(
        "an owner that invents ids", "which of them all other owners have: nobody can check that ids are true", None
    ),
)
_OF_LINKED = (
    Threat("another owner", "which of its own rows this one has as well, or has one that is alike", None),
    Threat(
        "an owner that invents rows",
        "which of them are like one of the other's: nobody can check that they are true",
        None,
    ),
)


def column_threats(federation: Federation) -> tuple[Threat, ...]:
    """What each party could learn, alone and with another, about ids and columns, if all follow the protocol or not."""
    crossed = crossings_of(federation)
    kinds = dict.fromkeys(family(c.kind) for c in crossed)
    linked = bool(federation.schema.linked_by)
    kinds = {"filters of rows": None, **kinds} if linked else kinds  # nothing goes without them
    told = dict.fromkeys(
        family(c.kind) for c in crossed if from_an_owner(c, federation) and c.receiver == "server" and not c.encrypted
    )
    answers = "".join(f", {KINDS.get(kind, f'{kind} of each owner')}" for kind in told if kind not in HANDSHAKE)
    ids = "pseudonyms of rows" if linked else "how many ids each owner has and how many are common"
    rest = "" if _told_more(federation) else "; nothing of another's columns"
    found = _OF_LINKED if linked else _OF_IDS
    lines = [
        Threat("the server alone", f"{ids}{answers}", None),
        replace(found[0], could_read=found[0].could_read + rest),
        *found[1:],
    ]
    if len(federation.names) > 2:
        what = "which of that owner's ids each of the others has"
        lines.append(Threat("the server with one owner", what, False))
        lines.append(Threat("two owners that put together what they saw", "which ids both of them have", None))
    for kind in kinds:
        lines += _ONCE_CROSSED.get(kind, ())
    return (
        *lines,
        *_of_products(federation),
        Threat("whoever sees the results", "whatever they give away about rows: nothing bounds it", None),
    )


def _told_more(federation: Federation) -> bool:
    """Whether some owner was told something about another's columns, by it or by the server, that it can read."""
    return any(
        c.sender in ("server", *federation.names)
        and c.receiver in federation.names
        and not c.encrypted
        and family(c.kind) in _ONCE_CROSSED
        for c in crossings_of(federation)
    )


def _of_products(federation: Federation) -> list[Threat]:
    """What there is to learn where one owner multiplies another's sealed numbers."""
    if federation.house.encrypt is None:
        return []
    kinds = {c.kind for c in crossings_of(federation)}
    keys = [name for name in federation.names if has_key(name, federation)]
    padded = any(kind.startswith("padded ") for kind in kinds)
    opened = any(kind.startswith("sum of ") for kind in kinds) or not padded
    holder = "the sums that it opens, of few rows too, and no row" if opened else "nothing: it opens random numbers"
    lines = [] if keys and not has_key("key holder", federation) else [Threat("the key holder alone", holder, None)]
    who = "the key holder" if lines else "the owner with the key"
    return [
        *lines,
        Threat(f"{who} with an owner that multiplies", "every number that was sealed for that owner", False),
        Threat(
            "an owner that multiplies by other numbers than its columns",
            "other sums than were asked for, such as one row's number: nobody can see it in a ciphertext",
            False,
        ),
    ]


def read_by(party: str, message: Message, federation: Federation) -> tuple[str, str]:
    """What a party can do with a message between owners of columns that is sealed or masked: a word of the wire, why.

    Sums are sealed for whoever they are sent to; what is multiplied, for an owner that sealed it with its own key, else
    for the key holder.
    """
    sums = _is_sum(message.kind)
    opener = message.receiver if sums else _key_of(message, federation)
    at_sender, at_receiver, for_others = _readers(message, sums)
    if party == message.sender:
        return at_sender
    if party == message.receiver:
        return at_receiver
    if party == opener and for_others == _NO_KEY:
        return "could", "it has the secret key; what protects owners is that only sums are sent to it"
    is_owner = party in federation.names or party == "key holder"
    return ("never", "it is sent to others") if is_owner else for_others


def _key_of(message: Message, federation: Federation) -> str:
    """Who handed out the key under which this message was sealed: the last one that its sender got, or handed out."""
    ends = ((m.sender, {m.sender, m.receiver}) for m in federation.ledger.messages[: message.number]
            if m.kind == "public key")  # fmt: skip
    found = [sender for sender, known in ends if message.sender in known]
    return found[-1] if found else "key holder"


_NO_KEY = ("sealed", "it has no key")


def _is_sum(kind: str) -> bool:
    return kind.startswith("sum of ") or family(kind) in FOR_A_KEY


def _readers(message: Message, sums: bool) -> tuple[tuple[str, str], tuple[str, str], tuple[str, str]]:
    """The words for the sender, for the receiver, and for whoever else gets hold of it."""
    if message.kind == "masked ids":
        masks = "owners' secret numbers hide the ids"
        return ("own", "its own secret number is on these ids"), ("sealed", masks), ("sealed", masks)
    if message.kind.endswith(", opened"):
        pads = "random numbers to whoever lacks the pads"
        return ("own", "it opened random numbers"), ("reads", "it takes off its own pads"), ("sealed", pads)
    if message.kind == "partial score, masked":
        masks = "masks hide the numbers until they cancel in the sum"
        return ("own", "these are its own numbers"), ("together", masks), ("sealed", masks)
    if sums:
        what = "sums under pads that only their owner knows" if "padded" in message.kind else "sums, and no row"
        made = "sealed", "it made them of what it cannot read"
        return made, ("reads", f"{what}: it has the secret key"), _NO_KEY
    return ("own", "these are its own numbers, sealed"), ("sealed", "it multiplies what it cannot read"), _NO_KEY
