"""A federation whose owners are at work in several processes: the same road between parties, to the same bits.

Sums on a grid are exact: added by worker and then over workers they give what one process gives, whoever is where.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Channels
from fedlab_nb.channel.opening import Tensors
from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.parties.beside import read_sum
from fedlab_nb.parties.house import terms_of_sum
from fedlab_nb.parties.rules import check_debits, check_noise
from fedlab_nb.pool.heads import PooledLedger, in_order
from fedlab_nb.pool.site import Done, Look
from fedlab_nb.pool.workers import Work, Workers
from fedlab_nb.records import PrivacyEvent, Update

if TYPE_CHECKING:
    from fedlab_nb.parties.owner import Rows
    from fedlab_nb.payloads import Payload

Floats = NDArray[np.float64]
Debits = Mapping[str, Sequence[PrivacyEvent]]
T = TypeVar("T")


class PooledFederation(Federation):
    """Owners at work in the processes of a pool; ``Pool.federation`` makes it, with the settings of a Federation.

    Each worker trains its owners and gives back one sum, and for the ledger the size and the hash of what each sent:
    the messages are those of one process, to the last digest, but their payloads are not kept. What owners keep for
    themselves (control variates, models of their own) is part of the run's state, as ever: it goes out with a round's
    work and comes back with it. Where updates are compared, or encrypted, each comes back by itself; sealing and
    opening take place here.
    """

    def __init__(
        self, owners: Sequence[DataOwner], workers: Callable[[Sequence[DataOwner]], Workers], **settings: Any
    ) -> None:
        super().__init__(owners, **settings)
        self.ledger: PooledLedger = PooledLedger()
        self._channels = Channels(self.names, self.ledger, self.house.server)
        self._workers = workers(self.owners)

    @property
    def workers(self) -> int:
        """How many processes the owners are at work in."""
        return len(self._workers)

    def gather(
        self,
        kind: str,
        work: Any,
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
        """As ``Federation.gather``: in the clear, work, noise and rounding take place at the workers.

        Raises:
            RoundError: also if a worker is gone.
        """
        if self.house.encrypt is not None:
            facts: dict[str, Any] = {"bound": bound, "noise_sd": noise_sd, "clip": clip, "debits": debits}
            facts |= {"ahead": ahead, "absent": absent, "tensors": tensors, "step": step, "asked": asked}
            return super().gather(kind, Brought(self, kind, work), number=number, cohort=cohort, **facts)
        terms = terms_of_sum(self.house, owners := (len(self.owners), len(cohort), len(absent)), bound, noise_sd, step)
        debits = check_debits(kind, cohort, debits)
        asked_all = bound, noise_sd, clip, step, terms.shares, owners, debits, ahead
        question = self.books.question(self.house, kind, cohort, asked, *asked_all)
        if (stored := self.books.answer(question)) is not None:
            return read_sum(np.asarray(stored))
        held, came = self._held(work, cohort, Look(kind, bound, clip, tuple(tensors)))
        if len(came) < len(cohort):
            self.losses.check(came, cohort, 1)
            debits = {name: debits[name] for name in came}
            owners, question = (len(self.owners), len(came), len(absent) + len(cohort) - len(came)), ""
            terms = terms_of_sum(self.house, owners, bound, noise_sd, step)
        check_noise(kind, self.house, debits, noise_sd, came)
        debit = self.books.charge(debits, self.house, ahead)
        summed = self._summed(held, came, debits, (terms, kind, number, noise_sd))
        return read_sum(np.asarray(self.books.keep(question, debit, summed)))

    def collect(self, kind: str, work: Any, **terms: Any) -> dict[str, Update]:
        """As ``Federation.collect``: owners compute at the workers, and each update comes back by itself."""
        brought = Brought(self, kind, work, terms.get("payload"))
        if terms.get("payload") is not None:
            terms["payload"] = brought.payload
        return super().collect(kind, brought, **terms)

    def hear(self, kind: str, work: Any, *, to: Sequence[str] | None = None, **terms: Any) -> dict[str, Floats | str]:
        """As ``Federation.hear``: the answers are computed at the workers, once the accounts are debited."""
        names = self.names if to is None else tuple(to)
        return super().hear(kind, Heard(self, kind, work, names), to=names, **terms)

    def computed(self, kind: str, work: Any, cohort: Sequence[str], payload: object | None) -> dict[str, Any]:
        """What work gives at each owner, or the error with which it failed there, and its payload."""
        # Numbers are looked at, and clipped, where they arrive; there seconds are counted too.
        held, done = self._workers.compute(work, self.house, cohort, Look(kind))
        _one_way(done)
        found = self._workers.bring(kind, held, payload)
        return {**found, **{failure.party: (failure.error, None) for part in done for failure in part.failures}}

    def answered(self, kind: str, work: Any, names: Sequence[str]) -> dict[str, Any]:
        """What work gives at each owner."""
        answers, done = self._workers.answers(kind, work, self.house, names)
        self._noted(done)
        return answers

    def _beside(self, name: str, kind: str, work: Callable[[str, Rows], T]) -> T:
        if isinstance(work, Heard):
            return cast("T", work(name))  # its seconds were counted where it was computed
        return super()._beside(name, kind, work)

    def _held(self, work: Any, cohort: Sequence[str], look: Look) -> tuple[Work, dict[str, Update]]:
        """Have it computed; who came through, in the cohort's order, each with its weight and no numbers.

        Raises:
            RoundError: the first, where nobody may be missing.
        """
        with self.ledger.stage("local work"):
            held, done = self._workers.compute(work, self.house, cohort, look)
        self._noted(done)
        errors = {failure.party: failure.error for part in done for failure in part.failures}
        for name in cohort:
            if name in errors:
                self.losses.add(errors[name])  # type: ignore[arg-type]
        weights = {name: weight for part in done for name, weight in part.came.items()}
        return held, {name: Update(np.zeros(0), weights[name]) for name in cohort if name in weights}

    def _summed(self, held: Work, came: Collection[str], debits: Debits, terms: Any) -> Floats:
        """One sum from each worker, added; their messages in the order in which one process adds."""
        plan, kind, number, noise_sd = terms
        with self.ledger.stage("add"):
            found = self._workers.sums(held, plan, kind, number, noise_sd, debits)
            self.ledger.post_heads(number, "server", kind, in_order(came, [heads for _, heads in found]))
            total: Floats = np.sum([part for part, _ in found if part.size], axis=0) if came else np.zeros(0)
        return total

    def _noted(self, done: Sequence[Done]) -> None:
        self.ledger.add_busy([part.busy for part in done])
        _one_way(done)

    def __repr__(self) -> str:
        return f"Pooled{super().__repr__()[:-1]}, {self.workers} workers)"


class Brought:
    """A work as ``Federation`` calls it, computed at the workers: all owners at once, and each result brought here."""

    at_once = True

    def __init__(self, federation: PooledFederation, kind: str, work: Any, payload: object | None = None) -> None:
        self._federation, self._work, self._kind, self._payload = federation, work, kind, payload
        self._found: dict[str, Any] = {}

    def together(self, rows: Mapping[str, Rows]) -> dict[str, Update]:
        """What each owner's part gave; a failure is raised, and then told owner by owner."""
        self._found |= self._federation.computed(self._kind, self._work, [*rows], self._payload)
        return {name: self(name, own) for name, own in rows.items()}

    def __call__(self, name: str, rows: Rows) -> Update:
        """What one owner's part gave."""
        if name not in self._found:
            return self.together({name: rows})[name]
        update = self._found[name][0]
        if isinstance(update, FedLabError):
            raise update
        return update  # type: ignore[no-any-return]

    def payload(self, name: str) -> Payload:
        """What this owner sends."""
        return self._found[name][1]  # type: ignore[no-any-return]


class Heard:
    """Answers that are computed at the workers, for all owners at once, as soon as the first one is asked for."""

    def __init__(self, federation: PooledFederation, kind: str, work: Any, names: Sequence[str]) -> None:
        self._federation, self._work, self._kind, self._names = federation, work, kind, names
        self._found: dict[str, Any] | None = None

    def __call__(self, name: str, _: Rows | None = None) -> Any:
        """The answer of one owner."""
        if self._found is None:
            self._found = self._federation.answered(self._kind, self._work, self._names)
        return self._found[name]


def _one_way(done: Sequence[Done]) -> None:
    """Refuse models trained together at one worker and one by one at another."""
    if len(frozenset[str]().union(*(part.ways for part in done))) > 1:
        raise RoundError(
            "federation",
            "update",
            "Some workers found that this model can be trained for many owners at once, and others did not.",
            "The two ways differ in the last bits, so that results would depend on which owner is where.",
            'Say how: executor="sequential" or executor="stacked" in the strategy.',
        )
