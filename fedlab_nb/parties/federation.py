"""The only road between parties: it protects, encrypts, charges and records whatever passes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Channels
from fedlab_nb.channel.opening import Encryption, Place, Tensors
from fedlab_nb.errors import SettingError
from fedlab_nb.ledger import Ledger, View
from fedlab_nb.parties.beside import Lost, Work, beside, collect, looked_at, read_sum
from fedlab_nb.parties.books import Books, Debits
from fedlab_nb.parties.house import House, Sent, cohort, dropouts, terms_of_sum
from fedlab_nb.parties.owner import DataOwner, Rows
from fedlab_nb.parties.rules import check_debits, check_house, check_noise, check_owners
from fedlab_nb.privacy import Account, Budget, Vault
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP, noise_source
from fedlab_nb.records import PrivacyEvent, Update

if TYPE_CHECKING:
    from fedlab_nb.parties.shown.wire import WireView

Floats = NDArray[np.float64]
T = TypeVar("T")
Heard = Callable[[Sequence[str]], dict[str, Floats | str]]


class Federation:
    """Data owners, a server and whoever opens sums, and the channel between them.

    Owners hold rows. The server gets sums and the model, and with ``encrypt`` nothing of single owners that it can
    read. In a notebook all of them live in one process: this simulates their walls, it does not build them.

    Args:
        owners: at least two DataOwners with the same columns.
        encrypt: ``fl.CKKS()``, ``fl.BFV()`` or ``fl.SecAgg()``, or None to send everything in the clear.
        protect: ``fl.RowLevelDP()`` or ``fl.OwnerLevelDP()``; with a budget and no mechanism, row level.
        budget: what the owners agree to spend at most.
        sample_rate: the probability with which each owner takes part in a round.
        dropout: the probability with which an owner that was chosen for a round sends no update in it.
        noise_seed: a rehearsal: noise that can be repeated, and therefore protects nobody. Marked on every card.
        server: where ciphertexts are added: in the "kernel", or in a "process" of its own that never sees a key.
        min_owners: a round counts if at least so many owners come through; those that fail or send what is no number
            are left out of it, and the round says so. Left out, the first failure fails the round.
        vault: ``fl.Vault(path)``, the file that keeps the owners' budgets; left out, memory keeps them.

    Raises:
        SettingError, SchemaError, RuleError, VaultError: naming the owner, the column or the combination.
    """

    def __init__(
        self,
        owners: Sequence[DataOwner],
        *,
        encrypt: Encryption | None = None,
        protect: RowLevelDP | OwnerLevelDP | None = None,
        budget: Budget | None = None,
        sample_rate: float = 1.0,
        dropout: float = 0.0,
        noise_seed: int | None = None,
        server: Place = "kernel",
        min_owners: int | None = None,
        vault: Vault | None = None,
    ) -> None:
        self.owners, self.schema = check_owners(owners)
        house = House(encrypt, protect, budget, sample_rate, noise_seed, dropout, server, min_owners)
        self.house = check_house(house, self.schema, self.owners, vault)
        self.ledger = Ledger()
        self._by_name = {owner.name: owner for owner in self.owners}
        self._places = {owner.name: place for place, owner in enumerate(self.owners)}
        self.books = Books(self.owners, vault)
        self.books.open(self.house)
        self._channels = Channels(self.names, self.ledger, self.house.server)
        self._busy = threading.Lock()
        self.losses = Lost()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The owners' names, in order."""
        return tuple(self._by_name)

    def seen_by(self, party: str) -> View:
        """All that one party ("server", "key holder" or an owner's name) sent and received: a table to be opened.

        Raises:
            SettingError: if there is no such party.
        """
        parties = ("server", "key holder", *self.names)
        if party not in parties:
            raise SettingError(
                f"There is no party called {party!r}.",
                "A view belongs to one of the parties of this federation.",
                f"Ask for one of: {', '.join(parties)}.",
            )
        return self.ledger.seen_by(party)

    def wire(self, number: int) -> WireView:
        """The way of message ``number`` of the ledger, and what each party can read of it; SettingError without it."""
        from fedlab_nb.parties.shown.wire import wire

        return wire(self, number)

    def account(self, name: str) -> Account:
        """The privacy account of an owner's data."""
        return self.books.accounts[name]

    def cohort(self, number: int, seed: int) -> tuple[str, ...]:
        """Who takes part in round ``number``: who was chosen and stays. Nobody is a legal answer."""
        return cohort(self.house, self.names, number, seed)

    def dropouts(self, number: int, seed: int) -> tuple[str, ...]:
        """Who was chosen for round ``number`` and drops out of it."""
        return dropouts(self.house, self.names, number, seed)

    def round_begins(self, cohort: Sequence[str]) -> None:
        """A new round with the owners ``cohort``: nobody has failed in it yet."""
        self.losses = Lost(self.house.min_owners, cohort)

    def round_ends(self) -> None:
        """All that a round is made of has been done, by whoever is here."""

    def came(self, cohort: Sequence[str]) -> float:
        """Which part of all owners took part in this round and did not fail."""
        return sum(name not in self.losses.names for name in cohort) / len(self.owners)

    def tell(self, kind: str, payload: NDArray[np.float32] | str, *, number: int, to: Sequence[str]) -> None:
        """The server sends the same thing to several owners."""
        self.ledger.post_all(number, "server", to, kind, payload)

    def hear(
        self,
        kind: str,
        work: Callable[[str, Rows], Floats | str],
        *,
        number: int,
        debits: Debits,
        to: Sequence[str] | None = None,
        asked: str = "",
    ) -> dict[str, Floats | str]:
        """Each owner (of ``to``) answers the server by itself, readable: only for answers protected one by one.

        The accounts are debited first; ``work`` adds its own noise (from ``self.noise``), as ``debits`` say. ``asked``
        is as in ``gather``.
        """
        names = self.names if to is None else tuple(to)
        debits = check_debits(kind, names, debits)
        questions = {n: self.books.question(self.house, kind, [n], asked, debits[n]) for n in names} if asked else {}
        found = {name: self.books.answer(question) for name, question in questions.items()}
        stored = {name: answer for name, answer in found.items() if answer is not None}
        new = [name for name in names if name not in stored]
        debit = self.books.charge({name: debits[name] for name in new}, self.house)
        answers = {name: self._beside(name, kind, work) for name in new}
        self.ledger.post_each(number, "server", kind, answers)
        if asked:
            answers = {name: self.books.keep(questions[name], debit, answer) for name, answer in answers.items()}
        return {name: answers[name] if name in answers else stored[name] for name in names}

    def hear_later(self, kind: str, work: Callable[[str, Rows], Floats | str], *, number: int) -> Heard:
        """As ``hear``, for what costs nothing: gives what gets the answers of those it is called with."""
        return lambda to: self.hear(kind, work, number=number, to=to, debits=dict.fromkeys(to, ()))

    def gather(
        self,
        kind: str,
        work: Work,
        *,
        number: int,
        cohort: Sequence[str],
        bound: float,
        noise_sd: float | Floats = 0.0,
        clip: float | None = None,
        debits: Debits,
        ahead: Debits | None = None,
        absent: Sequence[str] = (),
        tensors: Tensors = (),
        step: float | None = None,
        asked: str = "",
    ) -> Update:
        """The sum over ``cohort`` of what ``work`` gives beside each owner's rows, as the server comes to know it.

        In this order: work beside the rows; clip (L2 norm ``clip``, if given); debit the budgets, all or none; noise
        in shares; encrypt; record; add; open; round; keep. The shares are so large that the sum carries standard
        deviation ``noise_sd`` (one for all numbers, or one for each) or more even for an owner who knows, and
        subtracts, its own share. Without encryption there is no sum to hide in, so each owner adds all of the noise.

        ``bound`` is the largest number that one owner may send before noise; every number is rounded to the grid that
        goes with it, encrypted or not, so that both roads give equal bits. ``absent`` were called for this round and
        send nothing; ``tensors`` are the names and sizes of an update's parts, for error messages. ``step`` is how
        fine the grid has to be (None: as fine as the scheme allows).

        ``ahead`` is debited with ``debits``: what will be released next and must not find an empty budget. ``asked``
        says completely what ``work`` computes; where an equal question with equal noise was answered before, about the
        same data, the stored answer comes back and nothing is charged. Left out, nothing is stored.

        Raises:
            RoundError: naming the owner whose work failed or gave something that is not finite or beyond the bound.
            BudgetExceededError, VaultError, EncryptionError: before anything left.
        """
        terms = terms_of_sum(self.house, owners := (len(self.owners), len(cohort), len(absent)), bound, noise_sd, step)
        debits = check_debits(kind, cohort, debits)
        facts = bound, noise_sd, clip, step, terms.shares, owners, debits, ahead
        question = self.books.question(self.house, kind, cohort, asked, *facts)
        if (stored := self.books.answer(question)) is not None:
            return read_sum(np.asarray(stored))
        look = partial(looked_at, kind, bound, clip, tensors)
        updates = beside(self._by_name, self.ledger, cohort, kind, work, look, self.losses)
        if len(updates) < len(cohort):
            self.losses.check(updates, cohort, 2 if self.house.encrypt else 1)
            absent = (*absent, *(name for name in cohort if name not in updates))
            debits = {name: debits[name] for name in updates}
            owners, question = (len(self.owners), len(updates), len(absent)), ""  # not what was asked of all
            terms = terms_of_sum(self.house, owners, bound, noise_sd, step)
        check_noise(kind, self.house, debits, noise_sd, updates)
        debit = self.books.charge(debits, self.house, ahead)
        vectors = Sent(self.house, terms, updates, noise_sd, debits, lambda name: (number, self._places[name], kind))
        summed = self._channels.sum(terms, kind, vectors, number, absent, tensors)
        return read_sum(np.asarray(self.books.keep(question, debit, summed)))

    def collect(self, kind: str, work: Work, **terms: Any) -> dict[str, Update]:
        """Each owner's update by itself, readable for the server: for rules that compare them (see ``beside.collect``).

        Raises:
            RoundError, BudgetExceededError, VaultError: as ``gather``.
        """
        return collect(self, self._by_name, kind, work, **terms)

    def begin(self, number: int, *, anew: bool) -> None:
        """Rounds are played from ``number`` on: with fresh keys if ``anew``, or if those in force have been there."""
        self._channels.begin(number, anew=anew)
        self.books.forget_ahead()

    def turn(self) -> int:
        """The number for a question between runs: each owner helps to sum a kind once under one number."""
        return self._channels.turn()

    @property
    def fingerprint(self) -> str:
        """The public key in force, in 16 hex characters; "" while there is none."""
        return self._channels.fingerprint(self.house.encrypt)

    def noise(self, number: int, name: str, kind: str) -> np.random.Generator:
        """A source of noise for one owner's release: operating-system entropy, or the rehearsal's seed."""
        return noise_source(self.house.noise_seed, number, self._places[name], *kind.encode())

    def charge(self, debits: Debits) -> None:
        """Debit each owner's events from its account ahead of their release, or none of them (see ``Books.charge``)."""
        self.books.charge({}, self.house, ahead=debits)

    def reserve(self, releases: Sequence[PrivacyEvent], run: str) -> None:
        """Debit a whole run from every owner beforehand, where its plan is frozen; else nothing (``Books.reserve``)."""
        self.books.reserve(releases, self.house, run)

    @property
    def delta(self) -> float:
        """The delta at which epsilon is stated: the smallest that binds an owner, else 1e-5."""
        bindings = [self.books.binding(name, self.house) for name in self.names]
        return min((budget.delta for budget in bindings if budget is not None), default=1e-5)

    def epsilon(self) -> float | None:
        """What the owner that spent most has spent, over everything that ever left its rows; None without guarantee."""
        return self.books.epsilon(self.house, self.delta)

    def _beside(self, name: str, kind: str, work: Callable[[str, Rows], T]) -> T:
        with self.ledger.busy(name):
            return self._by_name[name]._inside(lambda rows: work(name, rows), stage=kind)  # noqa: SLF001

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """One run at a time: two runs would mix their rounds in the ledger."""
        if not self._busy.acquire(blocking=False):
            raise SettingError(
                "This federation is training already.",
                "Two runs at once would mix their messages in one ledger.",
                "Wait for the first run (run.wait()), stop it (run.stop()), or make a second Federation.",
            )
        try:
            yield
        finally:
            self._busy.release()

    def __repr__(self) -> str:
        house = self.house
        parts = [f"{len(self.owners)} owners", repr(house.encrypt) if house.encrypt else "not encrypted"]
        parts += [repr(part) for part in (house.protect, house.budget) if part is not None]
        parts += ["rehearsal, not private"] if house.noise_seed is not None else []
        return f"Federation({', '.join(parts)})"

    def _repr_html_(self) -> str:
        from fedlab_nb.parties.shown.card import federation_card

        return federation_card(self)
