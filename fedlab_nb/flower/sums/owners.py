"""Owners elsewhere as they are asked for their parts of a sum, and those of them that sent nothing of use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower.orders.arrived import SILENT
from fedlab_nb.flower.orders.hooks import ServersWriting
from fedlab_nb.flower.orders.line import Elsewhere
from fedlab_nb.flower.orders.owner import Cover, Kept, Look, Readable
from fedlab_nb.flower.orders.sites import Sites
from fedlab_nb.flower.sums.missing import Missing
from fedlab_nb.horizontal.side.local import Side
from fedlab_nb.payloads import Payload
from fedlab_nb.records import PrivacyEvent

if TYPE_CHECKING:
    from fedlab_nb.flower.federation import RemoteFederation

Debits = Mapping[str, Sequence[PrivacyEvent]]
T = TypeVar("T")


class Asked(NamedTuple):
    """What is computed beside each owner's rows: the same for all, but for what each of them has."""

    kind: str
    work: Any
    look: Look
    payload: Callable[[str], Payload] | None = None


class Owners:
    """The owners of a federation at their ``sites``."""

    def __init__(self, federation: RemoteFederation, sites: Sites, writing: ServersWriting) -> None:
        self._federation, self.sites, self._writing = federation, sites, writing
        self._said: dict[str, dict[str, Any]] = {name: {} for name in federation.names}
        # Lost in this round after their numbers were in a sum: they are lost to what comes after it.
        self.late: dict[str, FedLabError] = {}
        self.missing: Missing | None = None

    def tell(self, name: str, kind: str, payload: Any) -> None:
        """Tell one of them something that later work refers to."""
        self._said[name][kind] = payload
        self.sites.order(name, "tell", (kind, payload))
        self._writing.has_told(name, kind, payload)

    def there(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of ``names`` that left no question of this round without an answer: each would cost patience."""
        self.lose({name: self.late.pop(name) for name in names if name in self.late})
        silent = {failure.party for failure in self._federation.losses.failures if failure.stage == SILENT}
        return tuple(name for name in names if name not in silent)

    def reached(self) -> tuple[str, ...]:
        """Who can be handed keys now.

        Raises:
            RoundError: whoever makes them for all cannot.
        """
        names, without = self._federation.names, self.missing.without if self.missing is not None else ()
        found = tuple(name for name in self.there(names) if name not in without)
        if self._federation.house.hiding == "owners" and names[0] not in found:
            raise _no_keys(names[0])
        return found

    def computed(self, asked: Asked, names: Sequence[str]) -> dict[str, Any]:
        """What is to be computed beside each owner's rows; what owners keep of it is noted as being with them."""
        with self._writing.noting_sides() as sides:
            computed = {name: self.sites.order(name, "compute", asked) for name in names}
        if sides:
            for name, stub in computed.items():
                self.sites.wish(stub.kept, partial(note, sides, name))
        return computed

    def who_came(self, asked: Asked, names: Sequence[str], least: int) -> dict[str, Any]:
        """What those have computed who did so; where nobody may be missing, all: who fails later fails the round."""
        computed, losses = self.computed(asked, self.there(names)), self._federation.losses
        if self._federation.house.min_owners is None:
            return computed
        with self._federation.ledger.stage("local work"):
            _, errors = self.sites.try_to_bring([stub.kept for stub in computed.values()])
            anew = [name for name in errors if name in self.sites.anew]
            if anew:  # a new process is asked once more: it only has not heard what the one before it had
                for name in anew:
                    for kind, payload in self._said[name].items():
                        self.tell(name, kind, payload)
                computed |= self.computed(asked, anew)
                _, still = self.sites.try_to_bring([computed[name].kept for name in anew])
                errors = {name: error for name, error in errors.items() if name not in anew} | still
        self.lose(errors)
        came = {name: stub for name, stub in computed.items() if name not in errors}
        if errors:
            losses.check(came, [*computed], least)
        return came

    def protected(self, came: Mapping[str, Any], cover: Cover, debits: Debits, ahead: Debits) -> dict[str, Any]:
        """What each has computed, debited and with its noise: once, if nothing left before (``orders/owner.py``)."""
        held = {}
        for name, stub in came.items():
            owed = replace(cover, debits=tuple(debits[name]), ahead=tuple(ahead.get(name, ())))
            held[name] = self.sites.order(name, "protect", (stub, owed))
        return held

    def shown(
        self, held: Mapping[str, Any], came: Mapping[str, Any], look: Callable[[str, Readable], T]
    ) -> dict[str, T]:
        """What owners send in the clear, as far as ``look`` takes it."""
        orders = {name: self.sites.order(name, "show", (stub, came[name])) for name, stub in held.items()}
        with self._federation.ledger.stage("local work"):
            found, errors = self.sites.try_to_bring([*orders.values()])
        seen: dict[str, T] = {}
        for name, sent in zip(orders, found, strict=True):
            if name not in errors:
                try:
                    seen[name] = look(name, sent)
                except RoundError as error:
                    errors[name] = error
        self.lose(errors)
        if errors:
            self._federation.losses.check(seen, [*came], 1)
        return seen

    def drop_keys_of_anew(self) -> None:
        """Use no keys again of a process that is gone."""
        if self.sites.anew:
            self._federation.drop_keys()
            self.sites.anew.clear()

    def lose(self, errors: Mapping[str, FedLabError]) -> None:
        """Who sent nothing of use is left out, where owners may be missing. Nobody can put the blame on another."""
        self.drop_keys_of_anew()
        for name, error in errors.items():
            mine = isinstance(error, RoundError) and error.party == name
            self._federation.losses.add(error if mine else failed(name, error))  # type: ignore[arg-type]


def note(sides: Sequence[Side], name: str, kept: Kept) -> None:
    """What an owner keeps for itself is noted as being there."""
    for side in sides:
        side.kept.setdefault(name, {}).update({key: Elsewhere(name, key, since) for key, since in kept})  # type: ignore[misc]


def failed(name: str, error: FedLabError) -> RoundError:
    """A failure at ``name``, whatever it was."""
    return RoundError(name, "answer", error.what, error.why, error.do)


def _no_keys(maker: str) -> RoundError:
    return RoundError(
        maker,
        "keys",
        f"{maker!r} makes the key for all owners, and it is not there.",
        "Owners take that key from nobody else, or whoever puts in its own could read what they seal.",
        "Look whether its SuperNode runs; with a key holder, or under masks, no owner is needed for the others' keys.",
    )
