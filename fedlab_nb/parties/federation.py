"""The only road between parties: it protects, encrypts, charges and records whatever passes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Channel, for_range, open_channel
from fedlab_nb.channel.opening import Encryption, Place, Tensors
from fedlab_nb.crypto import CKKS
from fedlab_nb.errors import SettingError
from fedlab_nb.ledger import Ledger, View
from fedlab_nb.parties.house import House, cohort, dropouts
from fedlab_nb.parties.owner import DataOwner, Rows
from fedlab_nb.parties.rules import check_apart, check_debits, check_house, check_numbers, check_owners
from fedlab_nb.privacy import Account, Budget, Debit, account_of, charge
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP, clip_norm, gaussian_share, noise_source
from fedlab_nb.records import PrivacyEvent, Update

if TYPE_CHECKING:
    from fedlab_nb.parties.shown.wire import WireView

# Room for noise above the bound, in standard deviations: beyond it once in 10^32 numbers.
NOISE_TAIL = 12.0

Floats = NDArray[np.float64]
Work = Callable[[str, Rows], Update]
Debits = Mapping[str, Sequence[PrivacyEvent]]
T = TypeVar("T")


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

    Raises:
        SettingError, SchemaError, RuleError: naming the owner, the column or the combination.
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
    ) -> None:
        self.owners, self.schema = check_owners(owners)
        house = House(encrypt, protect, budget, sample_rate, noise_seed, dropout, server)
        self.house = check_house(house, self.schema, len(self.owners))
        self.ledger = Ledger()
        self._by_name = {owner.name: owner for owner in self.owners}
        self._accounts = {
            owner.name: account_of(owner._inside(lambda rows: rows.fingerprint, stage="counting its budget"))  # noqa: SLF001
            for owner in self.owners
        }
        check_apart(self._accounts, self.house)
        self._channels: dict[Encryption | None, tuple[int, Channel]] = {}
        self._newest = 0
        self._busy = threading.Lock()

    @property
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
        return self._accounts[name]

    def cohort(self, number: int, seed: int) -> tuple[str, ...]:
        """Who takes part in round ``number``: who was chosen and stays. Nobody is a legal answer."""
        return cohort(self.house, self.names, number, seed)

    def dropouts(self, number: int, seed: int) -> tuple[str, ...]:
        """Who was chosen for round ``number`` and drops out of it."""
        return dropouts(self.house, self.names, number, seed)

    def tell(self, kind: str, payload: NDArray[np.float32] | str, *, number: int, to: Sequence[str]) -> None:
        """The server sends the same thing to several owners."""
        for name in to:
            self.ledger.post(number, "server", name, kind, payload)

    def hear(
        self,
        kind: str,
        work: Callable[[str, Rows], Floats | str],
        *,
        number: int,
        debits: Debits,
    ) -> dict[str, Floats | str]:
        """Each owner answers the server by itself, readable: only for answers that are protected one by one.

        The accounts are debited first; ``work`` adds its own noise (from ``self.noise``), as ``debits`` say.
        """
        check_debits(kind, self.names, debits)
        self.charge(debits)
        answers = {name: self._beside(name, kind, work) for name in self.names}
        for name, answer in answers.items():
            self.ledger.post(number, name, "server", kind, answer)
        return answers

    def gather(
        self,
        kind: str,
        work: Work,
        *,
        number: int,
        cohort: Sequence[str],
        bound: float,
        noise_sd: float = 0.0,
        clip: float | None = None,
        debits: Debits,
        absent: Sequence[str] = (),
        tensors: Tensors = (),
        step: float | None = None,
    ) -> Update:
        """The sum over ``cohort`` of what ``work`` gives beside each owner's rows, as the server comes to know it.

        In this order: work beside the rows; clip (L2 norm ``clip``, if given); debit the budgets, all or none; noise
        in shares; encrypt; record; add; open; round. The shares are so large that the sum carries standard deviation
        ``noise_sd`` or more even for an owner who knows, and subtracts, its own share. Without encryption there is no
        sum to hide in, so that each owner adds all of the noise itself.

        ``bound`` is the largest number that one owner may send before noise; every number is rounded to the grid that
        goes with it, encrypted or not, so that both roads give equal bits. ``absent`` were called for this round and
        send nothing; ``tensors`` are the names and sizes of an update's parts, for error messages. ``step`` is how
        fine the grid has to be (None: as fine as the scheme allows).

        Raises:
            RoundError: naming the owner whose work failed or gave something that is not finite or beyond the bound.
            BudgetExceededError, EncryptionError: before anything left.
        """
        reach, owners, scheme = bound + NOISE_TAIL * noise_sd, len(self.owners), self.house.encrypt
        scheme = scheme and for_range(scheme, reach, owners, step)
        plan = (scheme or CKKS()).plan(bound=reach, owners=owners)
        check_debits(kind, cohort, debits)
        shares = self.house.noise_shares(len(cohort), len(absent))
        plan.check_noise(noise_sd / np.sqrt(shares))
        with self.ledger.stage("local work"):
            updates = {name: self._beside(name, kind, _checked(work, kind, bound, clip, tensors)) for name in cohort}
        self.charge(debits)
        vectors: dict[str, Floats] = {}
        for name, update in updates.items():
            noise = gaussian_share(self.noise(number, name, kind), update.value.size, noise_sd, shares)
            vectors[name] = np.append(update.value + noise, update.weight)
        channel = self._channel(scheme, number)
        try:
            parts = (*tensors, ("weight", 1)) if tensors else ()
            summed = channel.sum(kind, vectors, plan, number, absent=absent, tensors=parts)
        except BaseException:
            self._channels.clear()  # keys of a sum that failed are not used again
            raise
        return Update(summed[:-1], float(summed[-1]))

    def begin(self, number: int, *, anew: bool) -> None:
        """Rounds are played from ``number`` on: with fresh keys if ``anew``, or if those in force have been there."""
        if anew or number <= self._newest:
            self._channels.clear()
            self._newest = 0

    @property
    def fingerprint(self) -> str:
        """The public key in force, in 16 hex characters; "" while there is none."""
        found = self._channels.get(self.house.encrypt)
        return found[1].fingerprint if found else ""

    def noise(self, number: int, name: str, kind: str) -> np.random.Generator:
        """A source of noise for one owner's release: operating-system entropy, or the rehearsal's seed."""
        return noise_source(self.house.noise_seed, number, self.names.index(name), *kind.encode())

    def charge(self, debits: Debits) -> None:
        """Debit each owner's events from its account, or none of them. A rehearsal's releases count as unprotected.

        Raises:
            BudgetExceededError: naming the owner whose budget does not allow them.
        """
        rehearsal = self.house.noise_seed is not None
        charge(
            [
                Debit(
                    name,
                    self._accounts[name],
                    self._by_name[name].held_out,
                    tuple(replace(e, mechanism="none", amount=0.0, delta=0.0) if rehearsal else e for e in events),
                )
                for name, events in debits.items()
                if events
            ],
            self.house.budget,
        )

    @property
    def delta(self) -> float:
        """The delta at which epsilon is stated: the budget's, else 1e-5."""
        return self.house.budget.delta if self.house.budget else 1e-5

    def epsilon(self) -> float | None:
        """What the owner that spent most has spent, over everything that ever left its rows; None without guarantee."""
        if self.house.protect is None or self.house.noise_seed is not None:
            return None
        accounts = self._accounts.values()
        if not all(account.guaranteed(self.house.protect.unit) for account in accounts):
            return None
        most = max(account.spent(self.delta) for account in accounts)
        return most if most < np.inf else None

    def _beside(self, name: str, kind: str, work: Callable[[str, Rows], T]) -> T:
        with self.ledger.busy(name):
            return self._by_name[name]._inside(lambda rows: work(name, rows), stage=kind)  # noqa: SLF001

    def _channel(self, scheme: Encryption | None, number: int) -> Channel:
        """The channel of a scheme with the keys in force: those of this run, not older than ``rounds_per_key``."""
        self._newest = max(self._newest, number)
        began, channel = self._channels.get(scheme, (number, None))
        if channel is None or (scheme and number // scheme.rounds_per_key > began // scheme.rounds_per_key):
            channel = open_channel(scheme, self.names, self.ledger, number, self.house.server)
            self._channels[scheme] = number, channel
        return channel

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


def _checked(work: Work, kind: str, bound: float, clip: float | None, tensors: Tensors) -> Work:
    """``work``, its numbers looked at and clipped before they leave the rows: a traceback then shows none of them."""

    def checked(name: str, rows: Rows) -> Update:
        update = work(name, rows)
        check_numbers(name, kind, np.append(update.value, update.weight), bound if clip is None else np.inf, tensors)
        return update if clip is None else Update(clip_norm(update.value, clip), update.weight)

    return checked
