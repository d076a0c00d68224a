"""Who is missing in one sum over owners elsewhere, and whether it can go on, or be taken anew, without them.

The law: of each kind and round one sum is opened. Until an owner has given something with which a sum may be opened,
that sum can be dropped, and those who are left make ready another one, with noise for as many as they are and under
fresh keys; nothing was released, so nothing is debited again. After that only masks bear a loss: who has sent its
masked numbers is in the sum, and the others take its masks off. Anything else fails the round, as whoever runs the
server might open both sums, and their difference is one owner's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from fedlab_nb.crypto import SecAgg
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower.orders.sites import OnTheWay, Sites
from fedlab_nb.parties.beside import Lost
from fedlab_nb.parties.house import House

Errors = Mapping[str, FedLabError]


def fewest(house: House) -> int:
    """How many owners a sum needs at least, so that each hides among the others and the sum comes out."""
    if isinstance(house.encrypt, SecAgg):
        return house.encrypt.needed(2)
    return 2 if house.encrypt else 1


class Asking(Protocol):
    """The owners that are asked (see ``owners.py``)."""

    sites: Sites
    late: dict[str, FedLabError]

    def lose(self, errors: Errors) -> None:
        """Leave these out of the round."""

    def drop_keys_of_anew(self) -> None:
        """Use no keys again of a process that is gone."""


class Missing:
    """One sum over those of the ``owners`` who ``came``; ``least`` is how many can hide each other.

    ``came`` and ``without`` follow it: who is still in it, and who was left out on its way.
    """

    def __init__(self, owners: Asking, losses: Lost, came: Mapping[str, Any], least: int) -> None:
        self._owners, self._losses, self._called, self._least = owners, losses, tuple(came), least
        self.came, self.without, self._silent = dict(came), set[str](), set[str]()
        self._holder_anew, self._before = False, 0
        owners.sites.sum, owners.sites.bear = OnTheWay(), self.bear

    def bear(self, errors: Errors, needed: int) -> None:
        """Losses that a protocol can do without while ``needed`` are left; who gave its numbers before is in the sum.

        Raises:
            FedLabError: nobody may be missing, or too few are left.
        """
        if not errors:
            return
        self._silent |= errors.keys()
        if self._losses.min_owners is None:
            raise next(iter(errors.values()))
        gave = self._owners.sites.sum.gave
        self._owners.late.update({name: error for name, error in errors.items() if name in gave})
        self._owners.drop_keys_of_anew()
        self._leave_out({name: error for name, error in errors.items() if name not in gave})
        self._losses.check(self.came, self._called, self._least)
        left = [name for name in self.came if name not in self._silent]
        if len(left) < needed:
            raise _too_few(len(left), needed)

    def taken_anew(self, error: FedLabError) -> None:
        """After a sum failed with ``error``: leave out who was lost; returns if the others can take it anew.

        Raises:
            FedLabError: they cannot: ``error``, if nobody was lost or nobody may be, else saying why.
        """
        sites, losses = self._owners.sites, self._losses
        missed, asked = dict(sites.sum.missed), bool(sites.sum.asked)
        few = isinstance(error, RoundError) and error.party == "federation"
        if losses.min_owners is None or not (few or any(error is one for one in missed.values())):
            raise error
        holder, anew = missed.pop(KEY_HOLDER, None), KEY_HOLDER in sites.anew
        self._leave_out({name: one for name, one in missed.items() if name not in sites.sum.gave})
        losses.check(self.came, self._called, self._least)
        if asked:
            raise error if few else _too_late(error, {KEY_HOLDER: holder} if holder is not None else missed)
        first_time = anew and not self._holder_anew
        if (holder is not None and not first_time) or (holder is None and len(self.without) == self._before):
            raise holder or error
        self._holder_anew, self._before = self._holder_anew or anew, len(self.without)
        self._owners.drop_keys_of_anew()
        sites.sum = OnTheWay()

    def _leave_out(self, errors: Errors) -> None:
        new = {name: error for name, error in errors.items() if name not in self.without}
        if not new:
            return
        self.without.update(new)
        self.came = {name: stub for name, stub in self.came.items() if name not in self.without}
        self._owners.lose(new)


def _too_few(left: int, needed: int) -> RoundError:
    return RoundError(
        "federation",
        "masks",
        f"{left} owners are left, and {needed} are needed.",
        "Fewer cannot take the masks off, so that no sum of any of them can come of it.",
        "Look at who was lost, or agree on fl.SecAgg(threshold=...) with a smaller number.",
    )


def _too_late(error: FedLabError, missed: Errors) -> RoundError:
    """A loss after the first owner has given what a sum may be opened with."""
    party, why = next(iter(missed.items()))
    return RoundError(
        party,
        getattr(error, "stage", "answer"),
        f"{party!r} was lost when others had helped to open a sum already: {why.what}",
        "Another sum without it could be set against the one that may be open: the difference is its own numbers.",
        "Nothing of this round is used; the next one goes on without whoever is missing.",
    )
