"""The record as a file, for other programs (JSON) and for a spreadsheet (CSV): who, what, when, why, how, what it cost.

Neither holds a private value: of what crossed, its size and its hash are told, never the content or its beginning. A
hash of something short that was readable (a list, a score) lets whoever has a guess test it, so the files are for those
who may see the ledger.
"""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fedlab_nb.audit.evidence import Crossing, Evidence
from fedlab_nb.audit.replay import Agreement, Charge, agreements, charges
from fedlab_nb.audit.verify import Verification
from fedlab_nb.audit.words import EVIDENCE
from fedlab_nb.errors import SettingError
from fedlab_nb.privacy.vault import Entry

SCHEMA = "fedlab_nb audit record, version 1"
# What a spreadsheet takes for the beginning of a formula, in either width; and white space that it looks through.
_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"

FIELDS = {
    "record": "message (of the ledger), or agreement, debit or answer (of the vault's journal)",
    "number": "its number in the ledger or in the journal",
    "time": "when it was written, in UTC; messages have their number and round instead",
    "round": "the round it belongs to; 0 is before the first one",
    "who": "the owner, or whoever sent the message",
    "to": "who received the message",
    "what": "the kind of message; for a debit how the release was protected",
    "purpose": "what the release was for, as the code that asked stated it",
    "rows": "the rows that the release was computed from: training, held-out or all",
    "unit": "what the noise hides: a row or an owner",
    "times": "how many equal releases the debit stands for",
    "bytes": "how many bytes crossed",
    "encrypted": "whether they were hidden from their receiver (sealed or masked); empty where nothing crossed",
    "epsilon": "of this release alone; empty where none holds because there was no noise",
    "epsilon_running": "of all debits of this owner's data up to here; empty where none holds",
    "delta": "the delta at which both epsilons are stated",
    "agreed_epsilon": "the limit of the agreement in force; empty where none was agreed",
    "agreed_delta": "its delta",
    "data": "the data, by a keyed hash that only the vault can make",
    "content": "the hash of what crossed or was kept",
    "digest": "the digest of this line and of all before it in its chain",
}


@dataclass(frozen=True)
class Line:
    """One line of the export; the names are those of ``FIELDS``, but for ``nbytes`` (bytes)."""

    record: str
    number: int
    time: str | None = None
    round: int | None = None
    who: str | None = None
    to: str | None = None
    what: str | None = None
    purpose: str | None = None
    rows: str | None = None
    unit: str | None = None
    times: int | None = None
    nbytes: int | None = None
    encrypted: bool | None = None
    epsilon: float | None = None
    epsilon_running: float | None = None
    delta: float | None = None
    agreed_epsilon: float | None = None
    agreed_delta: float | None = None
    data: str | None = None
    content: str | None = None
    digest: str | None = None

    @property
    def cells(self) -> dict[str, Any]:
        """By the names of ``FIELDS``."""
        return dict(zip(FIELDS, astuple(self), strict=True))


def lines(evidence: Evidence) -> Iterator[Line]:
    """First every message, then every line of the journal about these owners' data, each in its chain's order."""
    for crossing in evidence.crossings:
        yield _message(crossing)
    spent = {charge.line.number: charge for charge in charges(evidence)}
    agreed = {agreement.line.number: agreement for agreement in agreements(evidence)}
    for entry in evidence.book.lines:
        if entry.number in spent:
            yield _debit(spent[entry.number])
        elif entry.number in agreed:
            yield _agreement(agreed[entry.number])
        elif entry.kind == "answer" and entry.facts["debit"] in spent:
            yield _answer(entry, spent[entry.facts["debit"]])


def json_text(evidence: Evidence, verification: Verification) -> str:
    """Everything as one JSON object: ``fields`` says what each field of ``events`` means.

    ``journal_lines_left_out`` are lines about other data than these owners', and kept answers that name no debit.
    """
    house, told = evidence.house, [line.cells for line in lines(evidence)]
    journal = sum(cells["record"] != "message" for cells in told)
    record = {
        "schema": SCHEMA,
        "read_first": EVIDENCE,
        "made": stamp(evidence.at),
        "owners": [
            {
                "name": party.name,
                "data": party.data,
                "agreed": None if party.agreed is None else asdict(party.agreed),
            }
            for party in evidence.parties
        ],
        "columns": {"features": list(evidence.columns), "target": evidence.target},
        "settings": {
            "encryption": house.encrypt.name if house.encrypt else None,
            "keys": house.hiding,
            "mechanism": repr(house.protect) if house.protect else None,
            "budget": None if house.budget is None else asdict(house.budget),
            "sample_rate": house.sample_rate,
            "dropout": house.dropout,
            "server": house.server,
            "rehearsal": house.noise_seed is not None,
        },
        "vault": {"kept_in": "file" if evidence.book.in_file else "memory", "fault": evidence.book.fault},
        "heads": {"ledger": verification.ledger_head, "vault": verification.vault_head},
        "verification": [asdict(check) for check in verification.checks],
        "journal_lines_left_out": len(evidence.book.lines) - journal,
        "fields": FIELDS,
        "events": told,
    }
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def csv_text(evidence: Evidence) -> str:
    """One line for each event, the columns in the order of ``FIELDS``; no cell begins like a formula."""
    page = io.StringIO()
    writer = csv.writer(page)
    writer.writerow(FIELDS)
    writer.writerows([_cell(value) for value in line.cells.values()] for line in lines(evidence))
    return page.getvalue()


def write(path: object, ending: str, text: str) -> Path:
    """Write ``text`` to ``path``, all of it or nothing, and return the path; what was there is replaced.

    Raises:
        SettingError: for a path that cannot be one, or cannot be written.
    """
    if not isinstance(path, str | Path) or Path(path).suffix.lower() != ending:
        raise SettingError(
            f"The record was to be saved as {path!r}.",
            f"It is written as {ending[1:].upper()}, and a file with another ending would be taken for something else.",
            f"Give a name that ends in {ending}, such as 'audit{ending}'.",
        )
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("x", encoding="utf-8-sig" if ending == ".csv" else "utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SettingError(
            f"The record could not be written to {str(path)!r} ({type(error).__name__}).",
            "The folder has to exist and to have room, and the name must not be that of a folder.",
            "Make the folder first, or choose another name.",
        ) from error
    return path


def stamp(at: float) -> str:
    """A time as UTC: ``2026-11-28T18:40:05Z``."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _message(c: Crossing) -> Line:
    return Line(
        "message",
        c.number,
        round=c.round,
        who=c.sender,
        to=c.receiver,
        what=c.kind,
        nbytes=c.nbytes,
        encrypted=c.encrypted,
        content=c.content,
        digest=c.digest,
    )


def _debit(charge: Charge) -> Line:
    entry, event, agreed = charge.line, charge.event, charge.agreed
    return Line(
        "debit",
        entry.number,
        stamp(entry.at),
        round=event.round,
        who=entry.owner,
        what=event.words,
        purpose=event.purpose,
        rows=event.rows,
        unit=event.unit if event.mechanism != "none" else None,
        times=event.times,
        epsilon=charge.alone,
        epsilon_running=charge.total,
        delta=charge.delta,
        agreed_epsilon=agreed.epsilon if agreed else None,
        agreed_delta=agreed.delta if agreed else None,
        data=entry.facts["data"],
        digest=entry.digest,
    )


def _agreement(agreement: Agreement) -> Line:
    entry, budget = agreement.line, agreement.budget
    return Line(
        "agreement",
        entry.number,
        stamp(entry.at),
        who=entry.owner,
        what="a limit was agreed on" if budget else "releases are counted, without a limit",
        unit=entry.facts["unit"],
        agreed_epsilon=budget.epsilon if budget else None,
        agreed_delta=budget.delta if budget else None,
        data=entry.facts["data"],
        digest=entry.digest,
    )


def _answer(entry: Entry, paid: Charge) -> Line:
    return Line(
        "answer",
        entry.number,
        stamp(entry.at),
        round=paid.event.round,
        what=f"kept, to answer an equal question with; paid by line {paid.line.number}",
        purpose=paid.event.purpose,
        content=entry.facts["digest"],
        digest=entry.digest,
    )


def _cell(value: object) -> object:
    """A value as a cell: nothing where there is none, yes or no, and a quote before what a spreadsheet would run."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if isinstance(value, str) and (text.lstrip()[:1] in tuple(_FORMULA) or text[:1] in ("\t", "\r", "\n")):
        return f"'{text}"
    return text if isinstance(value, str) else value
