"""Risks that remain, whatever was checked: all of them are named always, each with what the settings make of it."""

from __future__ import annotations

from fedlab_nb.audit import words
from fedlab_nb.audit.evidence import Evidence
from fedlab_nb.audit.report.section import Section
from fedlab_nb.channel.compare import readers
from fedlab_nb.privacy import RenyiMeter
from fedlab_nb.units import counted


def risks(evidence: Evidence) -> Section:
    """A row for each risk."""
    rows = tuple((name, told(evidence)) for name, told in RISKS.items())
    intro = "They stay when every check holds. What the settings and the record make of each is computed."
    return Section("Risks that remain", (intro,), ("Risk", "Here"), rows)


def _inference(evidence: Evidence) -> str:
    if not words.guaranteed(evidence):
        return (
            "Whoever sees the model or the answers may infer things about rows from them, encrypted or not; here no "
            "epsilon bounds that."
        )
    return (
        f"Whoever sees the model or the answers learns something about every {words.unit(evidence)}; epsilon bounds "
        f"how much: {words.spendings(evidence)}."
    )


def _exact(evidence: Evidence) -> str:
    if evidence.book.fault:
        return "Cannot be counted: the journal is not as it was written."
    exact = evidence.releases(exact=True)
    if not exact:
        return "0 releases without noise are in the journal."
    return (
        f"{counted(exact, 'release')} without noise in the journal: no epsilon holds for them, and a few exact answers "
        "can be combined into single rows."
    )


def _unit(evidence: Evidence) -> str:
    if evidence.house.protect is None:
        return "Nothing hides a person, whether in one row or in many."
    if evidence.house.protect.unit == "owner":
        return "The unit is the owner: all of its rows together. What many owners have in common is not hidden."
    return (
        "The unit is the row: a person with many rows, and what many rows have in common, is hidden less or not at all."
    )


def _sampling(evidence: Evidence) -> str:
    if any(isinstance(party.account.meter, RenyiMeter) for party in evidence.parties):
        return (
            "Epsilon counts on rows that took part at random, in secret: it is too small if the coins of an owner were "
            "known to others."
        )
    return "Epsilon takes no credit for rows or owners that took part at random."


def _lying_server(evidence: Evidence) -> str:
    house = evidence.house
    if evidence.vertical:
        return (
            "The server finds the rows in common: one that lies may leave rows out or name wrong ones, which spoils "
            "the result. Identities that it passes on are believed."
        )
    if house.encrypt is None:
        return "The server reads every answer as it is: it need not lie, and no owner has to help it."
    liars = [f"{r.who} ({r.how})" for r in readers(house.encrypt, len(evidence.parties)) if "lies" in r.who]
    told = (
        f"Could read single updates: {'; '.join(liars)}."
        if liars
        else "No such pair is known to open single updates here."
    )
    return f"{told} Parties are taken to follow the protocol: who does not may also spoil the result."


def _colluding(evidence: Evidence) -> str:
    house = evidence.house
    if evidence.vertical:
        pairs = [t for t in evidence.threats if " with " in t.who or " put together " in t.who]
        told = "; ".join(f"{t.who}: {t.could_read}" for t in pairs) or "no two parties are known to learn more together"
        return f"No noise is left against anybody who puts knowledge together. Known: {told}."
    together = "; ".join(f"{r.who} ({r.how})" for r in readers(house.encrypt, len(evidence.parties)))
    reads = f"Single updates are readable by: {together}."
    if house.protect is None:
        return f"No noise is left against anybody who puts knowledge together. {reads}"
    if house.encrypt is None:
        return f"Each owner adds all of the noise by itself, so that colluding owners take none of it away. {reads}"
    number = counted(house.protect.colluding, "owner")
    return f"The noise is enough against {number} who put their shares of it together, not against more. {reads}"


def _key(evidence: Evidence) -> str:
    again = " Whoever controls this process has all keys and shares." if evidence.house.encrypt else ""
    return words.opening(evidence) + again


def _process(evidence: Evidence) -> str:
    apart = " but the adding server" if evidence.house.server == "process" else ""
    return (
        f"All parties{apart} live in one process, on one machine: this is a simulation of walls, and whoever "
        "controls it can read every row and key and write any record."
    )


def _floats(evidence: Evidence) -> str:
    if evidence.house.protect is None:
        return "No noise is drawn, so that there is nothing to give away in its last digits."
    if evidence.house.protect.exact_noise:
        return "Noise is drawn in whole steps of a grid, free of this; how long that takes varies, and could be timed."
    return (
        "Noise is drawn in floating-point numbers: their last digits are no perfect Gaussian, and epsilon ignores that."
    )


def _outside(evidence: Evidence) -> str:
    where = "this file" if evidence.book.in_file else "this kernel"
    return (
        f"Only what went through {where} is counted: not tuning runs on the same data elsewhere or in another vault, "
        "and a table with one row more or less is other data to the journal."
    )


def _replaced(evidence: Evidence) -> str:
    if not evidence.book.in_file:
        return "The journal is in memory: restarting the kernel begins a new one, and all that was spent is forgotten."
    return "The journal is a file: whoever can replace it can put an older copy in its place. Noted heads tell of that."


def _rehearsal(evidence: Evidence) -> str:
    if evidence.house.noise_seed is not None:
        return "This federation is a rehearsal: noise from a known seed can be subtracted, and counts as none."
    return "This federation is none. Rehearsals on the same data are counted as releases without noise."


def _record(evidence: Evidence) -> str:
    short = sum(c.nbytes <= 64 for c in evidence.readable)
    return (
        f"Hashes of what crossed are in the ledger and its export; {counted(short, 'readable answer')} of at most 64 "
        "bytes can be tested against a guess by whoever sees them."
    )


RISKS = {
    "Inference from the model and the answers": _inference,
    "Exact answers": _exact,
    "Who is hidden": _unit,
    "Credit for sampling": _sampling,
    "A server that lies, and an owner that lies with it": _lying_server,
    "Parties that collude": _colluding,
    "The key": _key,
    "One process": _process,
    "Floating-point noise": _floats,
    "Runs outside of this record": _outside,
    "A replaced or forgotten vault": _replaced,
    "Rehearsals": _rehearsal,
    "The record itself": _record,
}
