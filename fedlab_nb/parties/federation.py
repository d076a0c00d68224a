"""The only road between parties: it protects, encrypts, charges and records whatever passes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.aggregate import total
from fedlab_nb.crypto import CKKS, Adder, KeyHolder, Plan, Sealed, Sealer
from fedlab_nb.errors import SettingError
from fedlab_nb.ledger import Ledger, View
from fedlab_nb.parties.house import House, cohort, dropouts
from fedlab_nb.parties.owner import DataOwner, Rows
from fedlab_nb.parties.rules import check_apart, check_debits, check_house, check_numbers, check_owners
from fedlab_nb.privacy import Account, Budget, Debit, account_of, charge
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP, clip_norm, gaussian_share, noise_source
from fedlab_nb.records import PrivacyEvent, Update

# Room for noise above the bound, in standard deviations: beyond it once in 10^32 numbers.
NOISE_TAIL = 12.0

Floats = NDArray[np.float64]
Work = Callable[[str, Rows], Update]
Debits = Mapping[str, Sequence[PrivacyEvent]]
T = TypeVar("T")


class Federation:
    """Data owners, a server and a key holder, and the channel between them.

    Owners hold rows and the public key. The server gets sums and the model, and with ``encrypt`` only ciphertexts of
    single owners and a context without any key. The key holder opens sums and nothing else. In a notebook all of them
    live in one process: this simulates their walls, it does not build them.

    Args:
        owners: at least two DataOwners with the same columns.
        encrypt: ``fl.CKKS()``, or None to send everything in the clear.
        protect: ``fl.RowLevelDP()`` or ``fl.OwnerLevelDP()``; with a budget and no mechanism, row level.
        budget: what the owners agree to spend at most.
        sample_rate: the probability with which each owner takes part in a round.
        dropout: the probability with which an owner that was chosen for a round sends no update in it.
        noise_seed: a rehearsal: noise that can be repeated, and therefore protects nobody. Marked on every card.

    Raises:
        SettingError, SchemaError, RuleError: naming the owner, the column or the combination.
    """

    def __init__(
        self,
        owners: Sequence[DataOwner],
        *,
        encrypt: CKKS | None = None,
        protect: RowLevelDP | OwnerLevelDP | None = None,
        budget: Budget | None = None,
        sample_rate: float = 1.0,
        dropout: float = 0.0,
        noise_seed: int | None = None,
    ) -> None:
        self.owners, self.schema = check_owners(owners)
        house = House(encrypt, protect, budget, sample_rate, noise_seed, dropout)
        self.house = check_house(house, self.schema, len(self.owners))
        self.ledger = Ledger()
        self._by_name = {owner.name: owner for owner in self.owners}
        self._accounts = {
            owner.name: account_of(owner._inside(_fingerprint, stage="counting its budget"))  # noqa: SLF001
            for owner in self.owners
        }
        check_apart(self._accounts, self.house)
        self._key_holder: KeyHolder | None = None
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
    ) -> Update:
        """The sum over ``cohort`` of what ``work`` gives beside each owner's rows, as the server comes to know it.

        In this order: work beside the rows; clip (L2 norm ``clip``, if given); debit the budgets, all or none; noise
        in shares; encrypt; record; add; open; round. The shares are so large that the sum carries standard deviation
        ``noise_sd`` or more even for an owner who knows, and subtracts, its own share. Without encryption there is no
        sum to hide in, so that each owner adds all of the noise itself.

        ``bound`` is the largest number that one owner may send before noise; every number is rounded to the grid that
        goes with it, encrypted or not, so that both roads give equal bits.

        Raises:
            RoundError: naming the owner whose work failed or gave something that is not finite or beyond the bound.
            BudgetExceededError, EncryptionError: before anything left.
        """
        plan = (self.house.encrypt or CKKS()).plan(bound=bound + NOISE_TAIL * noise_sd, owners=len(self.owners))
        check_debits(kind, cohort, debits)
        with self.ledger.stage("local work"):
            updates = {name: self._beside(name, kind, _checked(work, kind, bound, clip)) for name in cohort}
        self.charge(debits)
        shares = max(len(cohort) - 1, 1) if self.house.encrypt else 1
        vectors: dict[str, Floats] = {}
        for name, update in updates.items():
            noise = gaussian_share(self.noise(number, name, kind), update.value.size, noise_sd, shares)
            vectors[name] = np.append(update.value + noise, update.weight)
        add_up = self._sealed_sum if self.house.encrypt else self._plain_sum
        summed = add_up(kind, vectors, plan, number)
        return Update(summed[:-1], float(summed[-1]))

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

    def _plain_sum(self, kind: str, vectors: dict[str, Floats], plan: Plan, number: int) -> Floats:
        with self.ledger.stage("add"):
            gridded = [Update(plan.grid(vector), 1.0) for vector in vectors.values()]
            for name, update in zip(vectors, gridded, strict=True):
                self.ledger.post(number, name, "server", kind, update.value)
            return total(gridded).value

    def _sealed_sum(self, kind: str, vectors: dict[str, Floats], plan: Plan, number: int) -> Floats:
        """Owners seal, the server adds what it cannot read, the key holder opens the sum and returns it rounded."""
        keys = self._keys(number)
        sealer, adder = Sealer(keys.public_key), Adder(keys.parameters)
        sealed: list[Sealed] = []
        with self.ledger.stage("encrypt"):
            for name, vector in vectors.items():
                sealed.append(sealer.seal(vector, plan, sender=name))
                self.ledger.post(number, name, "server", kind, sealed[-1])
        with self.ledger.stage("add"):
            summed = adder.add(sealed, plan)
            self.ledger.post(number, "server", "key holder", f"sum of {kind}s", summed)
        with self.ledger.stage("decrypt"):
            opened = keys.open(summed, plan, expected=len(vectors))
            self.ledger.post(number, "key holder", "server", f"sum of {kind}s, opened", opened)
        return opened

    def _keys(self, number: int) -> KeyHolder:
        """The key holder, made when first needed; its public parts are handed out through the ledger."""
        if self._key_holder is None:
            with self.ledger.stage("keys"):
                self._key_holder = KeyHolder.create()
                for name in self.names:
                    self.ledger.post(number, "key holder", name, "public key", self._key_holder.public_key)
                self.ledger.post(number, "key holder", "server", "parameters", self._key_holder.parameters)
        return self._key_holder

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
        from fedlab_nb.parties.card import federation_card

        return federation_card(self)


def _checked(work: Work, kind: str, bound: float, clip: float | None) -> Work:
    """``work``, its numbers looked at and clipped before they leave the rows: a traceback then shows none of them."""

    def checked(name: str, rows: Rows) -> Update:
        update = work(name, rows)
        check_numbers(name, kind, np.append(update.value, update.weight), bound if clip is None else np.inf)
        return update if clip is None else Update(clip_norm(update.value, clip), update.weight)

    return checked


def _fingerprint(rows: Rows) -> str:
    return rows.fingerprint
