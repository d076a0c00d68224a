"""Records of processing by owner (GDPR article 30), and the agreements that bound them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from fedlab_nb.audit.evidence import Evidence, Party
from fedlab_nb.audit.export import stamp
from fedlab_nb.audit.replay import agreements, alone_of
from fedlab_nb.audit.report.section import Mark, Section
from fedlab_nb.audit.words import spending
from fedlab_nb.channel.compare import travels
from fedlab_nb.records import PrivacyEvent
from fedlab_nb.units import counted, delta_text, epsilon_text, listed


@dataclass
class _Purpose:
    """What one owner's data was released for under one purpose."""

    first: float
    last: float = 0.0
    share: float = 0.0
    events: list[PrivacyEvent] = field(default_factory=list)


def processing(evidence: Evidence) -> Section:
    """A row for each owner and purpose: how often, when, on which rows, how protected, at which epsilon."""
    rows = [row for party in evidence.parties for row in _of(evidence, party)]
    columns = listed([repr(name) for name in evidence.columns], most=40)
    words = (
        f"Columns named to the federation: {columns}; and the target {evidence.target!r}.",
        _named(evidence),
        "Every release of the same data since its journal began is here, whoever asked for it.",
        "Epsilon is that of the purpose alone; what all purposes add up to is told under recipients.",
        *(
            ["The journal is not as it was written, so that nothing can be told from it."]
            if evidence.book.fault
            else []
        ),
    )
    heads = ("Owner", "Purpose", "Times", "First and last", "Rows", "Protection", "Epsilon")
    return Section("Records of processing, by owner (article 30)", words, heads, tuple(rows))


def _named(evidence: Evidence) -> str:
    """The columns that purposes name: all that the record tells of which column a release came from."""
    purposes, columns = " ".join(evidence.purposes()), (*evidence.columns, evidence.target)
    found = [name for name in columns if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", purposes)]
    if not found:
        return "No purpose names a column: which of them a release was computed from the record does not tell."
    named = listed([repr(name) for name in found], most=40)
    return f"Purposes name {named}: which columns the other releases were computed from the record does not tell."


def recipients(evidence: Evidence) -> Section:
    """Who got what from each owner, and where its budget stands."""
    rows = [(p.name, _recipients(evidence, p.name), spending(p, evidence)) for p in evidence.parties]
    return Section(
        "Recipients, and budgets in all", (), ("Owner", "Recipients", "Spent since the journal began"), tuple(rows)
    )


def limits(evidence: Evidence) -> Section:
    """Every agreement about these owners' data, and what had been spent when it ended."""
    rows = []
    for made in agreements(evidence):
        budget, verdict = made.budget, Mark("–", "no limit", "fl-maybe")
        told = "no limit"
        if budget is not None:
            told = f"epsilon {epsilon_text(budget.epsilon)} at delta {delta_text(budget.delta)}"
            verdict = Mark("✓", "kept", "fl-good") if made.kept else Mark("✕", "passed", "fl-bad")
        after = f"epsilon {epsilon_text(made.after)}" if budget is not None else "–"
        rows.append((made.line.owner, stamp(made.line.at), f"{told}, per {made.line.facts['unit']}", after, verdict))
    nothing = "No agreement about these owners' data is written down, so that nothing is limited by one."
    altered = "The journal is not as it was written: no agreement can be told from it."
    words = () if rows else (altered if evidence.book.fault else nothing,)
    return Section("Agreements", words, ("Owner", "Since", "Agreed", "Spent when it ended, or now", ""), tuple(rows))


def _of(evidence: Evidence, party: Party) -> list[tuple[str, ...]]:
    found: dict[str, _Purpose] = {}
    for line, event in evidence.debits:
        if line.facts["data"] == party.data:
            purpose = found.setdefault(event.purpose, _Purpose(line.at))
            purpose.last, purpose.share = line.at, line.facts["held_out"]
            purpose.events.append(event)
    return [_row(party, name, purpose) for name, purpose in found.items()]


def _row(party: Party, name: str, purpose: _Purpose) -> tuple[str, ...]:
    epsilon = alone_of(purpose.events, party.account.meter, party.delta, purpose.share)
    return (
        party.name,
        name,
        f"{sum(event.times for event in purpose.events):,}",
        _span(stamp(purpose.first), stamp(purpose.last)),
        listed(dict.fromkeys(event.rows for event in purpose.events)),
        listed(dict.fromkeys(event.words for event in purpose.events), most=3),
        "none holds" if epsilon is None else f"{epsilon_text(epsilon)} at delta {delta_text(party.delta)}",
    )


def _span(first: str, last: str) -> str:
    """Two times, what they have in common said once."""
    if first == last:
        return first
    return f"{first} to {last[11:] if first[:10] == last[:10] else last}"


def _recipients(evidence: Evidence, name: str) -> str:
    sent = [c for c in evidence.answers if c.sender == name]
    hidden = "sealed or masked" if evidence.vertical else travels(evidence.house.encrypt)
    how = Counter((c.receiver, hidden if c.encrypted else "readable") for c in sent)
    told = [f"{receiver} ({counted(number, 'answer')}, {word})" for (receiver, word), number in how.items()]
    opened = {c.sender for c in evidence.crossings if c.kind.startswith("sum of ") and c.kind.endswith(", opened")}
    told += [f"{opener} (sums, opened)" for opener in sorted(opened)]
    return "; ".join(told) or "nobody in this ledger"
