"""The workers of a federation in a pool: which owners each has, and trips to all of them at once."""

from __future__ import annotations

import heapq
import pickle
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.pool.site import Done, Look, Order, Packing, Site
from fedlab_nb.pool.writing import Writing

if TYPE_CHECKING:
    from distributed import Client

    from fedlab_nb.horizontal.side.local import Side
    from fedlab_nb.parties import DataOwner
    from fedlab_nb.parties.house import House, Terms
    from fedlab_nb.records import PrivacyEvent

Debits = Mapping[str, Sequence["PrivacyEvent"]]
# An owner takes time as if it had so many rows more.
_ROWS_AN_OWNER = 20
# Owners go to a worker in parcels of about so many rows.
_PARCEL = 20_000


class Work(NamedTuple):
    """A work that every worker with owners in it has computed: its number, and who came through, by worker."""

    number: int
    came: Mapping[int, tuple[str, ...]]


class Workers:
    """One site at each of the workers of ``client``; ``owners`` are divided among them by their rows, once."""

    def __init__(self, client: Client, addresses: Sequence[str], owners: Sequence[DataOwner]) -> None:
        packings = [Packing.of(owner) for owner in owners]
        self._client = client
        parcels = _shared_out(packings, len(addresses))
        self.places = {packing.name: worker for worker, own in enumerate(parcels) for packing in own}
        self.writing = Writing([{packing.name for packing in own} for own in parcels])
        names = [owner.name for owner in owners]
        with client.as_current():  # what is made there finds its way to these workers, whatever other clients there are
            made = [
                client.submit(Site, names, actor=True, workers=[address], allow_other_workers=False, pure=False)
                for address in addresses
            ]
            self._sites: list[Any] = [one.result() for one in made]
        for worker, own in enumerate(parcels):
            for parcel in _parcels(own):
                self._arrived("handing out rows", {worker: self._asked(worker, "handing out rows", "take", parcel)})

    def __len__(self) -> int:
        return len(self._sites)

    def by_worker(self, names: Sequence[str]) -> dict[int, list[str]]:
        """These owners, by the worker that has them, in the same order."""
        found: dict[int, list[str]] = {}
        for name in names:
            found.setdefault(self.places[name], []).append(name)
        return dict(sorted(found.items()))

    def compute(self, work: object, house: House, cohort: Sequence[str], look: Look) -> tuple[Work, list[Done]]:
        """Have ``work`` computed beside the rows of ``cohort``; what it gives stays where it is."""
        groups, number = self.by_worker(cohort), self.writing.number(work)
        orders, sides = self._orders(work, house, groups, number)
        try:
            asked = {w: self._asked(w, look.kind, "compute", orders[w], names, look) for w, names in groups.items()}
            done = self._arrived(look.kind, asked)
        except BaseException:
            self.writing.drop(number)
            raise
        self.writing.resides(work, number, groups)
        _note(sides, done.values())
        return Work(number, {worker: tuple(found.came) for worker, found in done.items()}), [*done.values()]

    def sums(self, which: Work, terms: Terms, kind: str, number: int, noise_sd: Any, debits: Debits) -> list[Any]:
        """Each worker's sum of what was computed, and what crossed for it."""
        asked = {}
        for w, came in which.came.items():
            own = {name: debits[name] for name in came}
            asked[w] = self._asked(w, kind, "sum", which.number, terms, kind, number, noise_sd, own)
        return [*self._arrived(kind, asked).values()]

    def bring(self, kind: str, which: Work, payload: object | None) -> dict[str, Any]:
        """What was computed, owner by owner; with ``payload`` also what each would send in its place."""
        written = {w: payload and self.writing.written(payload, w)[0] for w in which.came}
        asked = {w: self._asked(w, kind, "bring", which.number, written[w]) for w in which.came}
        found = self._arrived(kind, asked)
        return {name: brought for own in found.values() for name, brought in own.items()}

    def answers(self, kind: str, work: object, house: House, names: Sequence[str]) -> tuple[dict[str, Any], list[Done]]:
        """What ``work`` gives beside each owner's rows.

        Raises:
            FedLabError: that of the first owner, in the order of ``names``, at which it fails.
        """
        groups = self.by_worker(names)
        orders, sides = self._orders(work, house, groups, self.writing.number(work))
        asked = {w: self._asked(w, kind, "answer", orders[w], kind, own) for w, own in groups.items()}
        found = self._arrived(kind, asked)
        failed = {groups[w][len(said)]: error for w, (said, _, error) in found.items() if error is not None}
        if failed:
            raise failed[min(failed, key=names.index)]
        done = [done for _, done, _ in found.values()]
        _note(sides, done)
        return {name: answer for said, _, _ in found.values() for name, answer in said.items()}, done

    def _orders(
        self, work: object, house: House, groups: Mapping[int, Sequence[str]], number: int
    ) -> tuple[dict[int, Order], list[Side]]:
        orders, sides = {}, dict[int, Any]()
        for worker in groups:
            written, found = self.writing.written(work, worker)
            orders[worker] = Order(number, written, self.writing.over(worker), house)
            sides |= {id(side): side for side in found}
        return orders, [*sides.values()]

    def _asked(self, worker: int, stage: str, verb: str, *given: Any) -> Any:
        """The call of a worker's site, which is then under way."""
        if self._client.status != "running":
            raise _lost(stage, "the pool was closed")
        try:
            return self._sites[worker].do(pickle.dumps((verb, given), pickle.HIGHEST_PROTOCOL))
        except RuntimeError:  # dask knows already that it is gone
            raise _lost(stage, f"worker {worker + 1} is gone") from None

    def _arrived(self, stage: str, calls: Mapping[int, Any]) -> dict[int, Any]:
        """The results of calls that are under way, by worker.

        Raises:
            RoundError: if a worker is gone, or fails by no fault of an owner.
        """
        found = {}
        for worker, call in calls.items():
            try:
                found[worker] = pickle.loads(call.result())
            except FedLabError:
                raise
            except Exception as error:  # noqa: BLE001 - of the other process, whatever it is
                raise _lost(stage, f"worker {worker + 1} said: {type(error).__name__}") from None
        return found


def _lost(stage: str, how: str) -> RoundError:
    return RoundError(
        "federation",
        stage,
        f"The pool's workers could not finish {stage!r}: {how}.",
        "Each of them holds the rows of some owners; without one of them no sum is complete.",
        "Open a new pool, make the federation in it, and go on with after=run.history[-1]. If a worker was ended for "
        "want of memory, take fewer workers.",
    )


def _note(sides: Sequence[Side], done: Any) -> None:
    """Owners' keepsakes become part of the state of the run, where they are without a pool."""
    for found in done:
        for side in sides:
            for name, own in found.kept.items():
                side.kept.setdefault(name, {}).update(own)


def _shared_out(packings: Sequence[Packing], workers: int) -> list[list[Packing]]:
    """The largest owners first, each to the worker that has least to do; no bit of a result depends on it."""
    shares: list[list[Packing]] = [[] for _ in range(workers)]
    load = [(0, worker) for worker in range(workers)]
    for packing in sorted(packings, key=lambda p: -p.size):
        least, worker = heapq.heappop(load)
        shares[worker].append(packing)
        heapq.heappush(load, (least + packing.size + _ROWS_AN_OWNER, worker))
    return shares


def _parcels(packings: Sequence[Packing]) -> list[list[Packing]]:
    parcels: list[list[Packing]] = [[]]
    size = 0
    for packing in packings:
        if size > _PARCEL:
            parcels.append([])
            size = 0
        parcels[-1].append(packing)
        size += packing.size + _ROWS_AN_OWNER
    return parcels
