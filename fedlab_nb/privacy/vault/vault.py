"""The vault: what every owner's data has released, in a journal that outlives the kernel.

A release takes two steps. All owners' debits are written, durably and all or none; only then is noise drawn and does
anything leave. Whatever happens in between, what was written stays spent.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import VaultError
from fedlab_nb.privacy.account import Account, Debit
from fedlab_nb.privacy.budget import Budget
from fedlab_nb.privacy.meters import Meter, RenyiMeter
from fedlab_nb.privacy.vault.charging import Lines, charged, reserved, take_in
from fedlab_nb.privacy.vault.file import File, checked_path
from fedlab_nb.privacy.vault.journal import Entry, Row, body_of, broken, checked, entry, rows
from fedlab_nb.units import counted

# In memory, answers beyond this many bytes are not kept: asking such a question again costs again.
MEMORY_BYTES = 256 * 2**20
# No line of a journal can have a smaller number (SQLite's integers have 64 bits).
LOWEST = -(2**63)

Payload = NDArray[np.float64] | str


class Vault:
    """The budgets of all data that is used with it, in a file that survives kernels, or in memory if without a path.

    A file (SQLite, write-ahead log) may be open in several kernels at once: each debit sees all earlier ones. Every
    entry carries the digest of all before it, so that an edited or added line, or one missing between others, is found
    when the file is opened. Whoever can write the file can cut off its newest lines, or put an older copy in its place:
    kernels that have it open notice, others cannot, so let the owners note the ``head``.
    Data is known by a keyed hash of its content: a table with a row more or less is other data.

    Answers are kept as well: the same question about the same data, with the same noise, is answered with the same
    numbers, and costs nothing.

    Raises:
        SettingError: for a path that cannot be one.
        VaultError: if the file cannot be opened or written, or is not as it was written.

    >>> vault = Vault()
    >>> vault.verify(), len(vault)
    (True, 0)
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self._file = File(checked_path(path))
        self._lock = threading.RLock()
        self._accounts: dict[str, Account] = {}
        self._agreed: dict[str, tuple[str, Budget | None, str]] = {}
        self._answers: dict[str, str] = {}
        self._left: dict[str, str] = {}
        self._number, self._kept = 0, 0
        with self._file.reading() as database:
            self._key = self._read_key(database)
            self._last = hashlib.sha256(self._key).digest()
            self._version = 0
            self._catch_up(database)

    @classmethod
    def trying(cls, accounts: Mapping[str, Account]) -> Vault:
        """A vault in memory, to try on what would come after what these accounts have released (by fingerprint)."""
        vault = cls()
        vault._accounts = {data: account.copy() for data, account in accounts.items()}
        return vault

    @property
    def path(self) -> Path | None:
        """The file; None for a vault in memory, which ends with the kernel."""
        return self._file.path

    @property
    def name(self) -> str:
        """What cards and errors call it."""
        return self._file.name

    @property
    def head(self) -> str:
        """The digest of the newest entry, 64 hex characters: it vouches for all of them."""
        return self._last.hex()

    @property
    def mark(self) -> str:
        """What tells this vault from any other: a hash of its key."""
        return hashlib.sha256(b"mark" + self._key).hexdigest()[:16]

    def same(self, other: Vault) -> bool:
        """True if both write to one journal; a copy of a vault's file has its key, and is another vault."""
        return self.mark == other.mark and self._file.places == other._file.places

    def fingerprint(self, content: bytes) -> str:
        """How data with this ``content`` is known here: nobody without the vault's key can test a guess against it."""
        return hashlib.blake2b(content, key=self._key, digest_size=16).hexdigest()

    def account(self, data: str) -> Account:
        """The one account of the data with this fingerprint, whatever its owner is called and whoever asks."""
        if data not in self._accounts:
            self._accounts[data] = Account()
        return self._accounts[data]

    def entries(self) -> list[Entry]:
        """The whole journal, oldest first, checked against its digests.

        Raises:
            VaultError: naming the first line that is not as it was written.
        """
        with self._file.reading() as database:
            return [entry(row) for row in self._all(database)]

    def verify(self) -> bool:
        """True if no entry is missing, added or altered, and every kept answer is the one that was written."""
        try:
            entries = self.entries()
            known = [bytes.fromhex(entry.digest) for entry in entries[self._number - 1 : self._number]]
            answers = (str(e.facts["question"]) for e in entries if e.kind == "answer")
            return known == [self._last] * bool(self._number) and all(self.answer(q) is not None for q in answers)
        except VaultError:
            return False

    def open(self, data: str, owner: str, budget: Budget | None, unit: str, meter: Meter, aside: float = 0.0) -> None:
        """Write down that a federation will spend from this data, under which agreement; fix how releases add up.

        ``aside`` is the part of delta that is kept for category lists; like ``meter``, the first one opened with stays.
        """
        terms = (owner, budget, unit)
        if self._agreed.get(data) == terms:
            with self._lock, self._file.reading() as database:
                self._catch_up(database)  # what other kernels spent counts for the plans that come next
            return
        order = meter.order if isinstance(meter, RenyiMeter) else None
        facts: dict[str, Any] = {"owner": owner, "data": data, "unit": unit, "order": order, "set_aside": aside}
        if budget is not None:
            facts |= {"epsilon": budget.epsilon, "delta": budget.delta}
        self._append(lambda: [("opened", body_of(facts))])

    def agreement(self, data: str) -> Budget | None:
        """What was agreed on last for this data; None if nothing was, or no limit."""
        terms = self._agreed.get(data)
        return terms[1] if terms else None

    def leave(self, data: str, vault: Vault) -> None:
        """From now on ``vault`` keeps this data's budget, and nothing more can be spent from it here."""
        with self._lock:
            self._left[data] = vault.name

    def charge(self, debits: Sequence[Debit]) -> int:
        """Debit every owner, or none; the number of the first entry, 0 if there was nothing to debit.

        What a frozen plan has paid for already is begun instead, and costs no more (see ``reserve``).
        Call it before noise is drawn: a debit is never taken back, so that no crash can un-spend it.

        Raises:
            BudgetExceededError: naming the first owner whose budget does not allow its events; nothing was debited.
            SettingError: if another vault keeps the budget of this data by now.
            VaultError: if the debits could not be written; nothing was debited.
        """
        if not any(debit.events for debit in debits):
            return 0
        return self._append(lambda: charged(debits, self.account, self._left))

    def reserve(self, debits: Sequence[Debit]) -> None:
        """Debit the whole frozen plan of a run (``Debit.run``) from every owner, or none, before its first release.

        From then on ``charge`` begins its releases without a further debit. A run whose plan is there pays nothing.

        Raises:
            BudgetExceededError: naming the first owner whose budget does not allow it, or whose data has released
                something before.
            SettingError, VaultError: as ``charge`` does.
        """
        self._append(lambda: reserved(debits, self.account, self._left))

    def keep(self, question: str, debit: int, payload: Payload) -> Payload:
        """Write down a release, so that an equal ``question`` finds it; ``debit`` is what ``charge`` gave for it.

        Returns what answers the question from now on: where another kernel has answered it meanwhile, its answer.
        """
        data = payload.encode() if isinstance(payload, str) else np.ascontiguousarray(payload, np.float64).tobytes()
        form = "text" if isinstance(payload, str) else "numbers"
        facts = {"question": question, "debit": debit, "digest": _digest(form, data)}

        def entries() -> Lines:
            return [] if question in self._answers else [("answer", body_of(facts))]

        if self.path is not None or self._kept + len(data) <= MEMORY_BYTES:
            self._append(entries, (question, form, data))
            self._kept += len(data)
        if self._answers.get(question, facts["digest"]) == facts["digest"]:
            return payload
        stored = self.answer(question)
        return payload if stored is None else stored

    def answer(self, question: str) -> Payload | None:
        """The release that answered an equal question before, or None.

        Raises:
            VaultError: if what is kept is not what was written.
        """
        with self._lock, self._file.reading() as database:
            self._catch_up(database)
            digest = self._answers.get(question)
            if digest is None:
                return None
            query = "SELECT form, CAST(data AS BLOB), number FROM answers WHERE question = ?"
            found = database.execute(query, (question,)).fetchone()
        if found is None or _digest(found[0], found[1]) != digest:
            raise broken(self.name, found[2] if found else self._number)
        return found[1].decode() if found[0] == "text" else np.frombuffer(found[1], np.float64).copy()

    def _append(self, entries: Callable[[], Lines], answer: tuple[str, str, bytes] | None = None) -> int:
        """Write what ``entries`` gives once all earlier ones are known; count it only after it has been written."""
        with self._lock:
            with self._file.writing() as database:
                self._catch_up(database)
                first = self._number + 1
                made = rows(self._last, self._number, entries())
                database.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?)", made)
                if made and answer is not None:
                    database.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (first, *answer))
            self._take_in(made)
        return first

    def _catch_up(self, database: sqlite3.Connection) -> None:
        """Take in what other kernels wrote; where they wrote something else than new lines, look at all of them."""
        query = "SELECT * FROM journal WHERE number >= ? ORDER BY number"
        found = database.execute(query, (self._number or LOWEST,))
        known = next(found, None) if self._number else None
        if self._number and (known is None or (known[0], known[4]) != (self._number, self._last)):
            raise broken(self.name, self._number)
        new = checked(self.name, self._last, self._number, found)
        version = database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version and self._number and not new:
            self._all(database)
            if self._read_key(database) != self._key:
                raise broken(self.name, 1)
        self._version = version
        self._take_in(new)

    def _read_key(self, database: sqlite3.Connection) -> bytes:
        key = database.execute("SELECT value FROM key").fetchone()
        if key is None:
            raise broken(self.name, 1)
        return bytes(key[0])

    def _all(self, database: sqlite3.Connection) -> list[Row]:
        genesis = hashlib.sha256(self._key).digest()
        return checked(self.name, genesis, 0, database.execute("SELECT * FROM journal ORDER BY number"))

    def _take_in(self, lines: Sequence[Row]) -> None:
        take_in(lines, self.account, self._agreed, self._answers)
        if lines:
            self._number, self._last = lines[-1][0], lines[-1][4]

    def __len__(self) -> int:
        return self._number

    def __repr__(self) -> str:
        where = repr(str(self.path)) if self.path else ""
        return f"Vault({where}): {counted(len(self), 'entry', 'entries')}, head {self.head[:12]}"

    def _repr_html_(self) -> str:
        from fedlab_nb.privacy.vault.card import vault_card

        return vault_card(self)


def _digest(form: str, data: bytes) -> str:
    return hashlib.sha256(f"{form} ".encode() + data).hexdigest()
