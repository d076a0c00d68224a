"""What an auditor may know of a federation: ledger, budgets and settings, as one moment has them; no row, no key.

This is the only file of the room that touches a federation. Everything else here works on the frozen ``Evidence``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fedlab_nb.channel import HANDSHAKE
from fedlab_nb.errors import VaultError
from fedlab_nb.ledger import GENESIS
from fedlab_nb.parties import Federation
from fedlab_nb.parties.house import House
from fedlab_nb.parties.shown.threats import threats
from fedlab_nb.parties.shown.trust import access
from fedlab_nb.privacy import Account, Budget, Vault
from fedlab_nb.privacy.vault import Entry
from fedlab_nb.records import Access, Message, PrivacyEvent, Threat

# The delta at which epsilon is stated for an owner who agreed on none.
USUAL_DELTA = 1e-5


@dataclass(frozen=True)
class Crossing:
    """One message of the ledger without what was in it: ``content`` is the hash of that, ``digest`` chains it."""

    number: int
    round: int
    sender: str
    receiver: str
    kind: str
    nbytes: int
    encrypted: bool
    content: str
    digest: str


@dataclass(frozen=True)
class Party:
    """An owner as the books know it: name, the vault's fingerprint of its data, what binds it, what it has spent."""

    name: str
    data: str
    agreed: Budget | None
    account: Account

    @property
    def delta(self) -> float:
        """The delta at which its epsilon is stated."""
        return self.agreed.delta if self.agreed is not None else USUAL_DELTA


@dataclass(frozen=True)
class Book:
    """The vault's journal: where it is kept, its lines, its head; ``fault`` says why it cannot be believed."""

    name: str
    in_file: bool
    head: str
    lines: tuple[Entry, ...]
    holds: bool
    fault: str = ""


@dataclass(frozen=True)
class Evidence:
    """Everything that an audit is computed from, taken at the time ``at`` (seconds since 1970).

    ``vertical`` says that owners hold different columns; ``labelled`` is the owner that said what
    is to be predicted, "" if none has.
    """

    at: float
    parties: tuple[Party, ...]
    columns: tuple[str, ...]
    target: str
    house: House
    crossings: tuple[Crossing, ...]
    ledger_holds: bool
    book: Book
    access: tuple[Access, ...]
    threats: tuple[Threat, ...]
    vertical: bool
    labelled: str

    @property
    def names(self) -> tuple[str, ...]:
        """The owners' names, in order."""
        return tuple(party.name for party in self.parties)

    @property
    def ledger_head(self) -> str:
        """The digest of the newest message: it vouches for all of them."""
        return self.crossings[-1].digest if self.crossings else GENESIS

    @cached_property
    def key_givers(self) -> tuple[str, ...]:
        """Who handed out a public key, and so has the secret one: the key holder, or owners."""
        return tuple(dict.fromkeys(c.sender for c in self.crossings if c.kind == "public key"))

    @cached_property
    def answers(self) -> tuple[Crossing, ...]:
        """What owners sent that was computed from their rows: no keys, signatures, or sums that one of them opened."""
        return tuple(
            c
            for c in self.crossings
            if c.sender in self.names and c.kind not in HANDSHAKE and not c.kind.endswith(", opened")
        )

    @cached_property
    def readable(self) -> tuple[Crossing, ...]:
        """Those ``answers`` that their receiver could read one by one."""
        return tuple(c for c in self.answers if not c.encrypted)

    @cached_property
    def lines(self) -> tuple[tuple[Entry, PrivacyEvent | None], ...]:
        """Agreements and debits about these owners' data, whoever asked, since the journal began."""
        ours = {party.data for party in self.parties}
        stated = (line for line in self.book.lines if line.kind in ("opened", "debit"))
        return tuple((line, line.event) for line in stated if line.facts["data"] in ours)

    @cached_property
    def debits(self) -> tuple[tuple[Entry, PrivacyEvent], ...]:
        """The debits among these lines."""
        return tuple((line, event) for line, event in self.lines if event is not None)

    def releases(self, *, exact: bool) -> int:
        """How many debited releases had no noise (``exact``), or had some."""
        return sum(event.times for _, event in self.debits if (event.mechanism == "none") is exact)

    def purposes(self) -> Counter[str]:
        """How often each purpose was debited, over all owners."""
        found: Counter[str] = Counter()
        for _, event in self.debits:
            found[event.purpose] += event.times
        return found


def evidence(federation: Federation) -> Evidence:
    """What there is to see now."""
    house, books, schema = federation.house, federation.books, federation.schema
    # Messages first: a debit is written before its release, so that the journal then knows of all of them.
    messages, holds = federation.ledger.messages, federation.ledger.verify()
    book, accounts = _book(books.vault, [*books.accounts.items()])
    return Evidence(
        at=time.time(),
        parties=tuple(
            Party(name, books.data[name], books.binding(name, house), accounts[name]) for name in federation.names
        ),
        columns=tuple(column.name for column in schema.features),
        target=schema.target.name or "none",
        house=house,
        crossings=tuple(_bare(message) for message in messages),
        ledger_holds=holds,
        book=book,
        # Who saw what is looked up in the ledger by number: in one that was altered there is nothing to look up.
        access=tuple(replace(row, samples=(None, None, None)) for row in access(federation)) if holds else (),
        threats=threats(federation),
        vertical=schema.id is not None,
        labelled=next((m.sender for m in reversed(federation.ledger.messages) if m.kind == "task"), ""),
    )


def _bare(m: Message) -> Crossing:
    return Crossing(m.number, m.round, m.sender, m.receiver, m.kind, m.nbytes, m.encrypted, m.content, m.digest)


def _book(vault: Vault, accounts: Sequence[tuple[str, Account]]) -> tuple[Book, dict[str, Account]]:
    """The journal and the accounts at one and the same moment, also while a run goes on in another thread."""
    where, in_file = vault.name, vault.path is not None
    copies: dict[str, Account] = {}
    try:
        vault.answer("")  # asks nothing; takes in what other kernels have written
        length = -1
        while length != len(vault):
            length, copies = len(vault), {name: account.copy() for name, account in accounts}
        lines = tuple(vault.entries()[:length])
        head = lines[-1].digest if lines else vault.head
        return Book(where, in_file, head, lines, vault.verify()), copies
    except VaultError as error:
        copies = {name: account.copy() for name, account in accounts}
        return Book(where, in_file, vault.head, (), holds=False, fault=error.what), copies
