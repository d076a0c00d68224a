"""A federation whose owners are elsewhere: the same road between parties, with each owner's part done at its site.

The loop, the strategies and the protocols do not know the difference. What is done here is what the server does: it
asks, it adds, it opens nothing. Owners debit their own vaults; the books here follow them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Channels
from fedlab_nb.channel.opening import Tensors
from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower.orders.arrived import check_packed, check_sent
from fedlab_nb.flower.orders.hooks import ServersWriting
from fedlab_nb.flower.orders.line import Elsewhere
from fedlab_nb.flower.orders.owner import Cover, Introduction, Kept, Look, Readable
from fedlab_nb.flower.orders.sites import SILENT, Sites
from fedlab_nb.horizontal.side.local import Side
from fedlab_nb.parties import DataOwner, Federation
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.beside import check_readable, read_sum
from fedlab_nb.parties.federation import Heard
from fedlab_nb.parties.house import House, terms_of_sum
from fedlab_nb.parties.rules import check_debits
from fedlab_nb.payloads import Payload
from fedlab_nb.records import PrivacyEvent, Update

Floats = NDArray[np.float64]
Debits = Mapping[str, Sequence[PrivacyEvent]]
T = TypeVar("T")


class RemoteFederation(Federation):
    """Owners at ``sites``, under the settings of ``house``; the first trip has them introduce themselves."""

    def __init__(self, names: Sequence[str], house: House, sites: Sites, writing: ServersWriting) -> None:
        stubs = [sites.order(name, "introduce") for name in names]
        self.introductions: list[Introduction] = sites.bring(stubs)
        told = self.introductions
        for name, who in zip(names, told, strict=True):
            if who.name != name:
                raise _failed(name, _other_name(name, who.name))
        owners = [absent_owner(who.name, who.schema, who.held_out, who.budget, who.content) for who in told]
        super().__init__(
            owners,
            encrypt=house.encrypt,
            protect=house.protect,
            budget=house.budget,
            sample_rate=house.sample_rate,
            dropout=house.dropout,
            noise_seed=house.noise_seed,
            server=house.server,
            min_owners=house.min_owners,
        )
        self.books = self.books.apart({who.name: who.account for who in told})
        self.sites, self._writing = sites, writing
        self._invented: DataOwner | None = None
        reached = partial(self._there, self.names)
        self._channels = Channels(self.names, self.ledger, self.house.server, sites, reached)

    def tell(self, kind: str, payload: NDArray[np.float32] | str, *, number: int, to: Sequence[str]) -> None:
        """The server sends the same thing to several owners, with the next order for each."""
        super().tell(kind, payload, number=number, to=to)
        for name in to:
            self.sites.order(name, "tell", (kind, payload))
            self._writing.has_told(name, kind, payload)

    def charge(self, debits: Debits) -> None:
        """Debit each owner's events from its account ahead of their release: here, and in its own vault."""
        super().charge(debits)
        for name, events in debits.items():
            if events:
                self.sites.order(name, "charge", (tuple(events),))

    def hear(
        self,
        kind: str,
        work: Callable[..., Floats | str],
        *,
        number: int,
        debits: Debits,
        to: Sequence[str] | None = None,
        asked: str = "",  # noqa: ARG002 - answers are kept by the server's process no longer than it lasts
    ) -> dict[str, Floats | str]:
        """As ``Federation.hear``: each owner answers by itself; where owners may be missing, those who do not are."""
        names = self._there(self.names if to is None else to)
        debits = check_debits(kind, names, {name: debits[name] for name in names})
        self.books.charge(debits, self.house)
        return self._asked(kind, work, number, {name: tuple(debits[name]) for name in names})(names)

    def hear_later(self, kind: str, work: Callable[..., Floats | str], *, number: int) -> Heard:
        """As ``Federation.hear_later``: the answers come with the next trip."""
        return self._asked(kind, work, number, dict.fromkeys(self._there(self.names), ()))

    def _asked(self, kind: str, work: Any, number: int, debits: Mapping[str, tuple[PrivacyEvent, ...]]) -> Heard:
        """The question is written for each owner; what gets the answers, where they have not come meanwhile."""
        with self._writing.noting_sides() as sides:
            orders = {name: self.sites.order(name, "answer", (kind, work, owed)) for name, owed in debits.items()}
        said: dict[str, Any] = {}
        for name, stub in orders.items():
            self.sites.wish(stub, partial(said.__setitem__, name))

        def heard(names: Sequence[str]) -> dict[str, Floats | str]:
            left = [name for name in self._there(names) if name not in said and name in orders]
            with self.ledger.stage("local work"):
                _, errors = self.sites.try_to_bring([orders[name] for name in left])
            self._lose(errors)
            answers: dict[str, Floats | str] = {}
            for name in names:
                if name in said:
                    answers[name], kept = said[name]
                    _note(sides, name, kept)
            self.ledger.post_each(number, "server", kind, answers)
            return answers

        return heard

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
        asked: str = "",  # noqa: ARG002 - answers are kept by the server's process no longer than it lasts
    ) -> Update:
        """As ``Federation.gather``: work, clip, debit, noise and seal at each owner, in one trip."""
        look = Look(number, bound, clip, tuple(tensors))
        computed = self._computed(kind, work, self._there(cohort), look)
        # Who is lost by now has no part in the keys of this sum either, unlike those who are known to be ``absent``.
        came = self._who_came(computed, 2 if self.house.encrypt else 1)
        counts = len(self.owners), len(came), len(absent)
        terms = terms_of_sum(self.house, counts, bound, noise_sd, step)
        held = self._protected(kind, came, Cover(len(came), len(absent), noise_sd, step), debits, ahead or {})
        vectors: Mapping[str, Any] = held
        if terms.scheme is None:
            size = self._length(held, work, tensors) - 1
            vectors = self._shown(held, computed, partial(check_sent, kind, size, terms.plan.bound, tensors))
        else:
            for stub in held.values():
                self.sites.lengths[stub.ref_] = partial(self._length, held, work, tensors)
        return read_sum(self._channels.sum(terms, kind, vectors, number, absent, tensors))

    def collect(self, kind: str, work: Any, **terms: Any) -> dict[str, Update]:
        """As ``Federation.collect``: each owner's update by itself, readable for the server."""
        check_readable(self, kind)
        number, cohort, tensors = terms["number"], terms["cohort"], tuple(terms.get("tensors", ()))
        payload, noise_sd = terms.get("payload"), terms.get("noise_sd", 0.0)
        look = Look(number, terms["bound"], terms.get("clip"), tensors)
        computed = self._computed(kind, work, self._there(cohort), look, payload)
        came = self._who_came(computed, 1)
        plan = terms_of_sum(self.house, (len(self.owners), len(came), 0), terms["bound"], noise_sd, None).plan
        held = self._protected(kind, came, Cover(len(came), 0, noise_sd), terms["debits"], terms.get("ahead") or {})
        size = self._size(work, tensors)
        if payload is not None:
            came_packed = self._shown(held, computed, partial(check_packed, size, plan.bound))
            for name, one in came_packed.items():
                self.ledger.post(number, name, "server", kind, one.sent)
                self.ledger.post(number, name, "server", "weight", np.array([one.weight]))
            return {name: Update(one.restored * one.weight, one.weight) for name, one in came_packed.items()}
        readable = self._shown(held, computed, partial(check_sent, kind, size, plan.bound, tensors))
        vectors = {name: plan.grid(vector) for name, vector in readable.items()}
        self.ledger.post_each(number, "server", kind, vectors)
        return {name: read_sum(vector) for name, vector in vectors.items()}

    def _there(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of ``names`` that left no question of this round without an answer: each would cost patience."""
        silent = {failure.party for failure in self.losses.failures if failure.stage == SILENT}
        return tuple(name for name in names if name not in silent)

    def _computed(
        self, kind: str, work: Any, cohort: Sequence[str], look: Look, payload: Callable[[str], Payload] | None = None
    ) -> dict[str, Any]:
        """What is to be computed beside each owner's rows; what owners keep of it is noted as being with them."""
        with self._writing.noting_sides() as sides:
            computed = {name: self.sites.order(name, "compute", (kind, work, look, payload)) for name in cohort}
        if sides:
            for name, stub in computed.items():
                self.sites.wish(stub.kept, partial(_note, sides, name))
        return computed

    def _who_came(self, computed: Mapping[str, Any], least: int) -> dict[str, Any]:
        """Those who computed something. Where nobody may be missing, that is all: who fails then fails the round."""
        if self.house.min_owners is None:
            return dict(computed)
        with self.ledger.stage("local work"):
            _, errors = self.sites.try_to_bring([stub.kept for stub in computed.values()])
        self._lose(errors)
        came = {name: stub for name, stub in computed.items() if name not in errors}
        if errors:
            self.losses.check(came, [*computed], least)
        return came

    def _protected(
        self, kind: str, computed: Mapping[str, Any], cover: Cover, debits: Debits, ahead: Debits
    ) -> dict[str, Any]:
        """Budgets are debited here and at the owners, before noise; those who only pay ahead do so too."""
        debits = check_debits(kind, computed, {name: debits[name] for name in computed})
        self.books.charge(debits, self.house, ahead)
        held = {}
        for name, stub in computed.items():
            owed = replace(cover, debits=tuple(debits[name]), ahead=tuple(ahead.get(name, ())))
            held[name] = self.sites.order(name, "protect", (stub, owed))
        for name, events in ahead.items():
            if name not in computed and events:
                self.sites.order(name, "charge", (tuple(events),))
        return held

    def _shown(
        self, held: Mapping[str, Any], computed: Mapping[str, Any], look: Callable[[str, Readable], T]
    ) -> dict[str, T]:
        """What owners send in the clear, as far as ``look`` takes it."""
        orders = {name: self.sites.order(name, "show", (stub, computed[name])) for name, stub in held.items()}
        with self.ledger.stage("local work"):
            found, errors = self.sites.try_to_bring([*orders.values()])
        seen: dict[str, T] = {}
        for name, sent in zip(orders, found, strict=True):
            if name not in errors:
                try:
                    seen[name] = look(name, sent)
                except RoundError as error:
                    errors[name] = error
        self._lose(errors)
        if errors:
            self.losses.check(seen, [*computed], 1)
        return seen

    def _lose(self, errors: Mapping[str, FedLabError]) -> None:
        """Who sent nothing of use is left out, where owners may be missing. Nobody can put the blame on another."""
        if self.sites.anew:  # they no longer have the keys in force
            self._channels.drop()
            self.sites.anew.clear()
        for name, error in errors.items():
            mine = isinstance(error, RoundError) and error.party == name
            self.losses.add(error if mine else _failed(name, error))  # type: ignore[arg-type]

    def _length(self, held: Mapping[str, Any], work: Any, tensors: Tensors) -> int:
        """How many numbers each vector of a sum has, its weight among them: known, or asked for."""
        size = self._size(work, tensors)
        return size + 1 if size else int(self.sites.bring([next(iter(held.values())).length])[0])

    def _size(self, work: Any, tensors: Tensors) -> int:
        """How many numbers an update has: known, or tried out on invented rows; 0 where only real ones tell."""
        return sum(size for _, size in tensors) or getattr(work, "size", None) or self._tried(work) or 0

    def _tried(self, work: Any) -> int | None:
        """How many numbers work gives beside invented rows, which saves a trip; None where it needs real ones."""
        if self._invented is None:
            owner = self.owners[0]
            self._invented = DataOwner(
                owner.name, owner.mock(40), target=owner.target or None, id=owner.id, held_out=0.5
            )
        try:
            return int(self._invented._inside(lambda rows: work(self.names[0], rows), stage="rehearsal").value.size)  # noqa: SLF001
        except FedLabError:
            return None


def _note(sides: Sequence[Side], name: str, kept: Kept) -> None:
    for side in sides:
        side.kept.setdefault(name, {}).update({key: Elsewhere(name, key, since) for key, since in kept})  # type: ignore[misc]


def _other_name(name: str, said: str) -> FedLabError:
    return FedLabError(
        f"{name!r} introduces itself as {said!r}.",
        "One owner would take another's place in sums and accounts.",
        "Look at the name in this site's site.toml, and at the agreement.",
    )


def _failed(name: str, error: FedLabError) -> RoundError:
    return RoundError(name, "answer", error.what, error.why, error.do)
