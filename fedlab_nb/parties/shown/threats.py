"""Who could learn what: computed from the settings and from what the ledger holds, never from hopes."""

from __future__ import annotations

from fedlab_nb.channel import HANDSHAKE, Encryption
from fedlab_nb.channel.compare.readers import LIAR, LIAR_OF_FEW
from fedlab_nb.crypto import SecAgg
from fedlab_nb.parties.absent import is_absent
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.parties.federation import Federation
from fedlab_nb.parties.shown.columns import column_threats
from fedlab_nb.parties.shown.trust import crossings_of, from_an_owner
from fedlab_nb.records import Threat

# What owners send to the server one by one, in the clear, beside the sealed sums.
READABLE = {
    "category list": "the categories that each owner named",
    "own score": "each owner's own score",
    "verdict": "each owner's noisy verdict",
}


def threats(federation: Federation) -> tuple[Threat, ...]:
    """What each party could learn, alone and with another, under these settings if all follow the protocol."""
    of_columns = is_vertical(federation.schema)
    lines = column_threats(federation) if of_columns else _of_rows(federation)
    if all(map(is_absent, federation.owners)):
        return lines
    # Between owners of columns no server adds.
    apart = " but the adding server" if federation.house.server == "process" and not of_columns else ""
    everything = f"everything: all parties{apart} live in it, their walls are simulated"
    return (*lines, Threat("whoever controls this Python process", everything, False))


def _of_rows(federation: Federation) -> tuple[Threat, ...]:
    """What there is to learn where owners hold different rows of the same columns."""
    house = federation.house
    noisy = house.protect is not None and house.noise_seed is None
    guarantee = federation.epsilon() is not None
    unit = house.protect.unit if house.protect else "row"
    shield = f", with noise that hides single {unit}s" if noisy else ""
    fine = True if guarantee else None
    if house.encrypt:
        lines = _hidden(federation, house.encrypt, shield, fine)
    else:
        what = "every owner's update" + (", each with all of the noise" if noisy else ", number by number")
        lines = [
            Threat("the server alone", what, fine if noisy else False),
            _another_owner(len(federation.names), shield if guarantee else "", fine),
        ]
    allowed = f"what the budget allows about any single {unit}, no more"
    unbounded = "whatever the model and its scores give away about rows: nothing bounds it"
    return (*lines, Threat("whoever sees the results", allowed if guarantee else unbounded, fine))


def _another_owner(owners: int, shield: str, fine: bool | None) -> Threat:
    if owners == 2 and not shield:
        return Threat("the other owner", "this owner's update: the model's change less its own", False)
    return Threat("another owner", f"the model of every round{shield}", fine)


def _hidden(federation: Federation, scheme: Encryption, shield: str, fine: bool | None) -> list[Threat]:
    """What there is to learn where single updates are hidden."""
    opened = dict.fromkeys(
        c.kind
        for c in crossings_of(federation)
        if from_an_owner(c, federation)
        and not c.encrypted
        and c.kind not in HANDSHAKE
        and not c.kind.endswith(", opened")
    )
    readable = "".join(f", {READABLE.get(kind, f'{kind} of each owner')}" for kind in opened)
    hidden = "masked" if isinstance(scheme, SecAgg) else "sealed"
    cheating = "threshold" if federation.house.hiding == "threshold" else hidden
    alone = f"the sum of the updates{shield}, the model{readable}; single updates stay {hidden}"
    together = _together(len(federation.names), scheme, shield, fine)
    return [Threat("the server alone", alone, fine), *together, _CHEATING[cheating]]


def _together(owners: int, scheme: Encryption, shield: str, fine: bool | None) -> list[Threat]:
    """What others could learn, alone and together, by who holds what opens a sum."""
    rest = "the other owner's update" if owners == 2 else f"the sum of the other {owners - 1} owners' updates"
    other = _another_owner(owners, shield, fine)
    with_one = Threat("the server with one owner", f"{rest}{shield}", fine if shield or owners > 2 else False)
    if isinstance(scheme, SecAgg):
        needed = scheme.needed(owners)
        what = "every single update: together they can take masks off"
        lies = max(2 * needed - owners, 1)
        how = "every single update: it can tell two groups of owners two lists of who is left"
        return [
            other,
            with_one,
            Threat(f"the server with {needed} of {owners} owners", what, False),
            *([Threat(f"a server that lies, with {lies} of {owners} owners", how, False)] if lies < needed else []),
        ]
    if scheme.keys == "owners":
        has_key, both = (
            "the model, and every update that it gets hold of: it has the key",
            "every single update: one has the ciphertexts, the other the key",
        )
        return [Threat("another owner", has_key, False), Threat("the server with one owner", both, False)]
    if scheme.keys == "threshold":
        nobody = Threat("a key holder", "nothing: there is none, each owner has one share of the key", True)
        last = Threat("the server with all owners but one", f"that one's update{shield}: no sum hides it", fine)
        liar = Threat(LIAR.who, f"single updates: {LIAR.how}", False)
        return [nobody, other, with_one, *([last, liar] if owners > 2 else [])]
    holder = Threat("the key holder alone", f"the sums that it opens{shield}", fine)
    both = "every single update: one has the key, the other the ciphertexts"
    liar = Threat(LIAR_OF_FEW.who, f"short updates: {LIAR_OF_FEW.how}", None)
    return [holder, other, with_one, Threat("the key holder with the server", both, False), liar]


_CHEATING = {
    "sealed": Threat(
        "a server that leaves out, repeats or changes updates",
        "no more: owners vouch for a sum, so that it is found out before anything is opened. It could make up the sum "
        "itself, or say that owners dropped out, and so ask for sums of as few as two",
        None,
    ),
    "threshold": Threat(
        "a server that leaves out, repeats or changes updates",
        "no more: owners find out before they help to open a sum. It could make up the sum itself, or say that owners "
        "dropped out, and so ask for sums of as few as two",
        None,
    ),
    "masked": Threat(
        "a server that repeats or changes updates",
        "no more: what it sums up is then noise. It can leave owners out, and make up the sum itself",
        None,
    ),
}
