"""A federation whose owners are elsewhere: the same road between parties, with each owner's part done at its site.

The loop, the strategies and the protocols do not know the difference. What is done here is what the server does: it
asks, it adds, it opens nothing. Owners debit their own vaults; the books here follow them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Channels
from fedlab_nb.channel.opening import Tensors
from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.orders.arrived import check_packed, check_sent
from fedlab_nb.flower.orders.hooks import ServersWriting
from fedlab_nb.flower.orders.owner import Cover, Introduction, Look
from fedlab_nb.flower.orders.sites import Sites
from fedlab_nb.flower.sums.missing import Missing, fewest
from fedlab_nb.flower.sums.owners import Asked, Owners, failed, note
from fedlab_nb.flower.sums.size import Sizes
from fedlab_nb.parties import Federation
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.beside import check_readable, read_sum
from fedlab_nb.parties.federation import Heard
from fedlab_nb.parties.house import House, terms_of_sum
from fedlab_nb.parties.rules import check_debits
from fedlab_nb.records import PrivacyEvent, Update

Floats = NDArray[np.float64]
Debits = Mapping[str, Sequence[PrivacyEvent]]


class RemoteFederation(Federation):
    """Owners at ``sites``, under the settings of ``house``; the first trip has them introduce themselves."""

    def __init__(self, names: Sequence[str], house: House, sites: Sites, writing: ServersWriting) -> None:
        stubs = [sites.order(name, "introduce") for name in names]
        self.introductions: list[Introduction] = sites.bring(stubs)
        told = self.introductions
        for name, who in zip(names, told, strict=True):
            if who.name != name:
                raise failed(name, _other_name(name, who.name))
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
        sites.riders.elsewhere = self.ledger.elsewhere
        self._sizes = Sizes(self.owners[0])
        self._at = Owners(self, sites, writing)
        self._channels = Channels(self.names, self.ledger, self.house.server, sites, self._at.reached)

    def drop_keys(self) -> None:
        """Use none of the keys in force again."""
        self._channels.drop()

    def round_begins(self, cohort: Sequence[str]) -> None:
        """A new round with the owners ``cohort``: nobody has failed in it yet."""
        super().round_begins(cohort)
        self._at.late.clear()

    def tell(self, kind: str, payload: NDArray[np.float32] | str, *, number: int, to: Sequence[str]) -> None:
        """The server sends the same thing to several owners, with the next order for each."""
        super().tell(kind, payload, number=number, to=to)
        for name in to:
            self._at.tell(name, kind, payload)

    def charge(self, debits: Debits) -> None:
        """Debit each owner's events from its account ahead of their release: here, and in its own vault."""
        super().charge(debits)
        for name, events in debits.items():
            if events:
                self.sites.order(name, "charge", (tuple(events),))

    def reserve(self, releases: Sequence[PrivacyEvent], run: str) -> None:
        """Debit a whole run beforehand, where its plan is frozen: here, and in each owner's own vault."""
        super().reserve(releases, run)
        for name in self.names:
            self.sites.order(name, "reserve", (tuple(releases), run))

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
        names = self._at.there(self.names if to is None else to)
        debits = check_debits(kind, names, {name: debits[name] for name in names})
        self.books.charge(debits, self.house)
        return self._asked(kind, work, number, {name: tuple(debits[name]) for name in names})(names)

    def hear_later(self, kind: str, work: Callable[..., Floats | str], *, number: int) -> Heard:
        """As ``Federation.hear_later``: the answers come with the next trip."""
        return self._asked(kind, work, number, dict.fromkeys(self._at.there(self.names), ()))

    def _asked(self, kind: str, work: Any, number: int, debits: Mapping[str, tuple[PrivacyEvent, ...]]) -> Heard:
        """The question is written for each owner; what gets the answers, where they have not come meanwhile."""
        with self._writing.noting_sides() as sides:
            orders = {name: self.sites.order(name, "answer", (kind, work, owed)) for name, owed in debits.items()}
        said: dict[str, Any] = {}
        for name, stub in orders.items():
            self.sites.wish(stub, partial(said.__setitem__, name))

        def heard(names: Sequence[str]) -> dict[str, Floats | str]:
            left = [name for name in self._at.there(names) if name not in said and name in orders]
            with self.ledger.stage("local work"):
                found, errors = self.sites.try_to_bring([orders[name] for name in left])
            # A wish ends with the trip that it was made for, also where that party failed in another step.
            said.update((name, each) for name, each in zip(left, found, strict=True) if name not in errors)
            self._at.lose(errors)
            answers: dict[str, Floats | str] = {}
            for name in names:
                if name in said:
                    answers[name], kept = said[name]
                    note(sides, name, kept)
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
        """As ``Federation.gather``: work, clip, debit, noise and seal at each owner, in one trip.

        Who is lost on the way is left out, and the sum taken anew, where owners may be missing (``sums/missing.py``).
        """
        least = fewest(self.house)
        came = self._at.who_came(Asked(kind, work, Look(number, bound, clip, tuple(tensors))), cohort, least)
        # Who is lost by now has no part in the keys of this sum either, unlike those who are known to be ``absent``.
        missing = self._at.missing = Missing(self._at, self.losses, came, least)
        debits, ahead = self._debited(kind, came, debits, ahead or {}), ahead or {}
        while True:
            counts = len(self.owners), len(missing.came), len(absent)
            terms = terms_of_sum(self.house, counts, bound, noise_sd, step)
            held = self._at.protected(missing.came, Cover(*counts[1:], noise_sd, step), debits, ahead)
            vectors: Mapping[str, Any] = held
            if terms.scheme is None:
                size = self._length(held, work, tensors) - 1
                vectors = self._at.shown(held, came, partial(check_sent, kind, size, terms.plan.bound, tensors))
            try:
                with self._measured(held, work, tensors):
                    return read_sum(self._channels.sum(terms, kind, vectors, number, absent, tensors))
            except FedLabError as error:
                missing.taken_anew(error)

    def collect(self, kind: str, work: Any, **terms: Any) -> dict[str, Update]:
        """As ``Federation.collect``: each owner's update by itself, readable for the server."""
        check_readable(self, kind)
        number, tensors, ahead = terms["number"], tuple(terms.get("tensors", ())), terms.get("ahead") or {}
        payload, noise_sd = terms.get("payload"), terms.get("noise_sd", 0.0)
        look = Look(number, terms["bound"], terms.get("clip"), tensors)
        came = self._at.who_came(Asked(kind, work, look, payload), terms["cohort"], 1)
        plan = terms_of_sum(self.house, (len(self.owners), len(came), 0), terms["bound"], noise_sd, None).plan
        debits = self._debited(kind, came, terms["debits"], ahead)
        held = self._at.protected(came, Cover(len(came), 0, noise_sd), debits, ahead)
        size = self._sizes.of(work, tensors)
        if payload is not None:
            came_packed = self._at.shown(held, came, partial(check_packed, size, plan.bound))
            for name, one in came_packed.items():
                self.ledger.post(number, name, "server", kind, one.sent)
                self.ledger.post(number, name, "server", "weight", np.array([one.weight]))
            return {name: Update(one.restored * one.weight, one.weight) for name, one in came_packed.items()}
        readable = self._at.shown(held, came, partial(check_sent, kind, size, plan.bound, tensors))
        vectors = {name: plan.grid(vector) for name, vector in readable.items()}
        self.ledger.post_each(number, "server", kind, vectors)
        return {name: read_sum(vector) for name, vector in vectors.items()}

    def _debited(self, kind: str, came: Mapping[str, Any], debits: Debits, ahead: Debits) -> Debits:
        """What each of those who came owes, debited here; those who only pay ahead do so at their own vaults too."""
        debits = check_debits(kind, came, {name: debits[name] for name in came})
        self.books.charge(debits, self.house, ahead)
        for name, events in ahead.items():
            if name not in came and events:
                self.sites.order(name, "charge", (tuple(events),))
        return debits

    @contextmanager
    def _measured(self, held: Mapping[str, Any], work: Any, tensors: Tensors) -> Iterator[None]:
        """Meanwhile it is known how long these vectors are; no longer, as what tells it keeps them at their owners."""
        refs = [stub.ref_ for stub in held.values()]
        self.sites.lengths |= dict.fromkeys(refs, partial(self._length, held, work, tensors))
        try:
            yield
        finally:
            for ref in refs:
                del self.sites.lengths[ref]

    def _length(self, held: Mapping[str, Any], work: Any, tensors: Tensors) -> int:
        """How many numbers each vector of a sum has, its weight among them: known, or asked for."""
        size = self._sizes.of(work, tensors)
        return size + 1 if size else int(self.sites.bring([next(iter(held.values())).length])[0])


def _other_name(name: str, said: str) -> FedLabError:
    return FedLabError(
        f"{name!r} introduces itself as {said!r}.",
        "One owner would take another's place in sums and accounts.",
        "Look at the name in this site's site.toml, and at the agreement.",
    )
