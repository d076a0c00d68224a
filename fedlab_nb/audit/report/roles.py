"""Who played which role: the four of IEEE 3652.1 and FATE's words for them; and who could read what."""

from __future__ import annotations

from collections import Counter

from fedlab_nb.audit import words
from fedlab_nb.audit.evidence import Evidence
from fedlab_nb.audit.report.section import Mark, Section
from fedlab_nb.units import bytes_text, counted, listed

_GUEST, _AUDITOR = "host; guest where it asks for the model", "reads ledger, budgets and settings; no row, no key"
# What the server does, and FATE's word for it: owners of the same columns, and of different ones.
_ADDS = "adds and sends the model", "arbiter"
_PASSES_ON = (
    "finds the rows in common, passes identities on, is told scores",
    "none: FATE's parties do it among themselves",
)
_USER_OF_COLUMNS = "none: there the guest uses the model"
# What the table of "who sees what" says.
_SEEN = {"own": "its own", "reads": "reads it", "sealed": "cannot read it", "never": "never gets it"}
_VERDICTS = {
    True: Mark("✓", "bounded", "fl-good"),
    False: Mark("✕", "exposed", "fl-bad"),
    None: Mark("◐", "depends", "fl-maybe"),
}


def roles(evidence: Evidence) -> Section:
    """Every party with its role, and what it sent and got; owners who did alike stand together."""
    owners: dict[tuple[str, str], list[str]] = {}
    for name in evidence.names:
        owners.setdefault((_in_fate(evidence, name), _owner(evidence, name)), []).append(name)
    rows = [(listed(names, most=12), "data owner", fate, told) for (fate, told), names in owners.items()]
    user, (task, fate) = ("guest", _ADDS) if not evidence.vertical else (_USER_OF_COLUMNS, _PASSES_ON)
    rows += [
        ("whoever runs this notebook", "model user", user, _user(evidence)),
        ("server", f"coordinator: {task}", fate, _server(evidence)),
    ]
    if evidence.house.hiding == "authority":
        rows.append(_key_holder(evidence))
    rows.append(("auditor", "auditor", "none: FATE has no such role", _AUDITOR))
    intro = (
        "One person or organisation may hold several roles.",
        "The record names parties as the code did: who stands behind a name it does not show.",
    )
    heads = ("Party", "Role", "In FATE", "What the record shows")
    return Section("Roles (IEEE 3652.1, and FATE's words)", intro, heads, tuple(rows))


def _user(evidence: Evidence) -> str:
    if evidence.vertical:
        given = {c.receiver for c in evidence.crossings if c.kind == "model part, given with consent"}
        names = listed([repr(name) for name in evidence.names if name in given])
        went = f"; by consent {names} got the other parts" if names else ""
        return f"gets every result; each owner keeps its own part of a model{went}"
    got = {c.receiver for c in evidence.crossings if c.kind in ("model", "model, to begin with")}
    names = listed([repr(name) for name in evidence.names if name in got])
    return f"gets every result; a model went to {names}" if names else "gets every result; no model went to an owner"


def _owner(evidence: Evidence, name: str) -> str:
    sent = [c for c in evidence.answers if c.sender == name]
    hidden, size = sum(c.encrypted for c in sent), bytes_text(sum(c.nbytes for c in sent))
    return f"each sent {counted(len(sent), 'answer')} from its rows ({size}), {hidden} of them hidden"


def _server(evidence: Evidence) -> str:
    got = [c for c in evidence.answers if c.receiver == "server"]
    readable = sum(not c.encrypted for c in got)
    return f"got {counted(len(got), 'answer')} of single owners and could read {readable} of them"


def _in_fate(evidence: Evidence, name: str) -> str:
    """FATE's word for an owner: where columns differ the guest is who has the labels."""
    if not evidence.vertical:
        return _GUEST
    return "guest: it has the labels" if name == evidence.labelled else "host"


def _key_holder(evidence: Evidence) -> tuple[str, str, str, str]:
    if evidence.vertical and "key holder" not in evidence.key_givers:
        return "key holder", "coordinator: has handed out no key", "arbiter", words.opened_by_holder(evidence)
    told = words.opened_by_holder(evidence) if evidence.vertical else _sums(evidence)
    return "key holder", "coordinator: holds the key", "arbiter", told


def _sums(evidence: Evidence) -> str:
    got = [c for c in evidence.crossings if c.receiver == "key holder" and c.encrypted]
    single = sum(c.sender in evidence.names for c in got)
    return f"got {counted(len(got) - single, 'sealed sum')} and {counted(single, 'sealed update')} of single owners"


def sights(evidence: Evidence) -> Section:
    """Who could read what, read off the ledger."""
    rows = tuple((a.kind, _SEEN[a.owner], _SEEN[a.server], _SEEN[a.key_holder]) for a in evidence.access)
    words = () if rows else ("The ledger was altered: who could read what cannot be told from it.",)
    return Section("Who could read what crossed", words, ("What", "An owner", "The server", "The key holder"), rows)


def exposures(evidence: Evidence) -> Section:
    """What each party could learn, alone and with another."""
    rows = tuple((t.who, _VERDICTS[t.safe], t.could_read) for t in evidence.threats)
    words = (
        "Computed from the settings and the ledger, for parties that follow the protocol unless it says otherwise.",
    )
    return Section("Who could learn what", words, ("Who", "", "What"), rows)


def traffic(evidence: Evidence) -> Section:
    """Messages and bytes by kind."""
    number, size, hidden = Counter[str](), Counter[str](), Counter[str]()
    for c in evidence.crossings:
        number[c.kind] += 1
        size[c.kind] += c.nbytes
        hidden[c.kind] += c.encrypted
    rows = tuple((kind, f"{n:,}", bytes_text(size[kind]), f"{hidden[kind]:,}") for kind, n in number.items())
    return Section("What crossed, by kind", (), ("Kind", "Messages", "Size", "Hidden from the receiver"), rows)
