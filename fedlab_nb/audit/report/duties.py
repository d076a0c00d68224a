"""GDPR articles, each with its duty, what the record shows of it, and what it does not show.

Source: Regulation (EU) 2016/679, articles 5(1)(b), 5(1)(c), 5(1)(f), 5(2), 25, 30, 32 and 35, in this file's own words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from fedlab_nb.audit import words
from fedlab_nb.audit.evidence import Evidence
from fedlab_nb.audit.export import stamp
from fedlab_nb.audit.report.section import Section
from fedlab_nb.audit.verify import Verification
from fedlab_nb.units import bytes_text, counted, listed


class Duty(NamedTuple):
    """An article, its duty in short, and what the record does not show whatever happened."""

    article: str
    duty: str
    shown: Callable[[Evidence, Verification], str]
    not_shown: str


def duties(evidence: Evidence, verification: Verification) -> Section:
    """Every article of ``DUTIES`` with what the record shows."""
    rows = tuple((f"Article {d.article}: {d.duty}", d.shown(evidence, verification), d.not_shown) for d in DUTIES)
    heads = ("Article and duty", "What the record shows", "What it does not show")
    intro = "The articles are named so that a reader finds the evidence for each; no article is judged here."
    return Section("GDPR, article by article", (intro,), heads, rows)


def _purposes(evidence: Evidence, _: Verification) -> str:
    found = evidence.purposes()
    if not found:
        return "The journal names no purpose: nothing of these owners' data was debited, or it cannot be read."
    named = listed([f"{purpose!r} ({times:,} times)" for purpose, times in found.most_common()], most=12)
    return f"The journal names {counted(len(found), 'purpose')} for these owners' data: {named}."


def _minimal(evidence: Evidence, _: Verification) -> str:
    answers, size = evidence.answers, Counter[str]()
    for c in answers:
        size[c.kind] += c.nbytes
    rows = [c for c in answers if "row" in c.kind.lower().replace("rows", "row").split()]
    kinds = listed([f"{kind!r} ({bytes_text(n)})" for kind, n in size.most_common()], most=12) or "nothing"
    columns = counted(len(evidence.columns), "column")
    return (
        f"Messages whose kind names rows: {len(rows)} of {len(evidence.crossings)}. Owners sent: {kinds}. The "
        f"federation was told of {columns} and the target {evidence.target!r}. {words.releases(evidence)}"
    )


def _confidential(evidence: Evidence, _: Verification) -> str:
    return f"{words.encryption(evidence)} {words.opening(evidence)} {words.mechanism(evidence)}"


def _accountable(evidence: Evidence, verification: Verification) -> str:
    heads = next(
        (c.found for c in verification.checks if c.what == "Heads noted earlier"), "No head noted earlier was given."
    )
    return (
        f"{words.chains(evidence)} {words.keeping(evidence)} {heads} Heads now: ledger "
        f"{verification.ledger_head[:16]}, vault {verification.vault_head[:16]}."
    )


def _by_design(evidence: Evidence, _: Verification) -> str:
    bound = sum(party.agreed is not None for party in evidence.parties)
    return (
        f"{words.mechanism(evidence)} {bound} of {counted(len(evidence.parties), 'owner')} agreed on a limit. "
        f"{words.releases(evidence)} Spent: {words.spendings(evidence)}."
    )


def _recorded(evidence: Evidence, _: Verification) -> str:
    times = [line.at for line, _event in evidence.debits]
    span = f", from {stamp(min(times))} to {stamp(max(times))}" if times else ""
    lines = counted(len({(line.facts["data"], event.purpose) for line, event in evidence.debits}), "line")
    return (
        f"{lines} by owner and purpose below{span}, with columns, recipients and epsilon; and "
        f"{counted(len(evidence.crossings), 'message')} in the ledger, to be exported."
    )


def _protected(evidence: Evidence, verification: Verification) -> str:
    apart = {
        "kernel": "All parties share one process.",
        "process": "The adding server has a process of its own, all others share one.",
    }[evidence.house.server]
    held = len(verification.checks) - len(verification.failed)
    exposed = [threat.who for threat in evidence.threats if threat.safe is False]
    return (
        f"{words.encryption(evidence)} {words.opening(evidence)} {apart} {held} of {len(verification.checks)} checks "
        f"of this record hold. Exposed to: {listed(exposed) or 'nobody'}."
    )


def _assessed(evidence: Evidence, _: Verification) -> str:
    return (
        f"Facts for an assessment: {counted(len(evidence.parties), 'owner')}, "
        f"{counted(len(evidence.columns), 'column')}, {counted(len(evidence.purposes()), 'purpose')}. "
        f"{words.releases(evidence)} {words.mechanism(evidence)} Risks that remain are listed below."
    )


DUTIES = (
    Duty(
        "5(1)(b), purpose limitation",
        "data is used for stated purposes and for nothing that does not fit them",
        _purposes,
        "Whether a purpose is lawful, was told to the people in the data, or is true: it is the text that the code "
        "stated, and no run is refused for its purpose.",
    ),
    Duty(
        "5(1)(c), data minimisation",
        "no more data than the purpose needs",
        _minimal,
        "Whether fewer columns or answers would have done. A kind is the name that the code gave a message; the "
        "content was not looked at, and updates and exact answers may give rows away.",
    ),
    Duty(
        "5(1)(f), integrity and confidentiality",
        "data is guarded against disclosure, loss and change",
        _confidential,
        "How machines, disks, networks and passwords are guarded, and who could open this notebook.",
    ),
    Duty(
        "5(2), accountability",
        "whoever is responsible can show that all this was kept",
        _accountable,
        "Who was at the keyboard; what was done outside of this ledger and this vault; the clock time of a message "
        "(only the journal has times).",
    ),
    Duty(
        "25, by design and by default",
        "protection is built in, and is what one gets without asking",
        _by_design,
        "Whether a stronger setting was at hand and would have done; how a limit was chosen.",
    ),
    Duty(
        "30, records of processing",
        "a written record of purposes, data, recipients and time limits",
        _recorded,
        "Names and addresses of those responsible, categories of people, dates of erasure, transfers to other "
        "countries: to be added by hand.",
    ),
    Duty(
        "32, security of processing",
        "measures that fit the risk, such as encryption, and regular tests of them",
        _protected,
        "Availability, backups, access rights, and whether the measures fit the risk.",
    ),
    Duty(
        "35, impact assessment",
        "where the risk is high: describe, weigh, and treat it beforehand",
        _assessed,
        "The assessment: need, proportion, the risk to the people in the data, and what was decided.",
    ),
)
