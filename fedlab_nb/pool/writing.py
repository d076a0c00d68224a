"""Work on its way to a worker: written by cloudpickle, less what that worker has already or is not to be told.

Whoever unpickles runs what was pickled: right between the processes of one user, and nowhere else.
"""

from __future__ import annotations

import io
import pickle
import weakref
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError
from fedlab_nb.horizontal.averaging import Averaging
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.local import Side
from fedlab_nb.learn import Learner
from fedlab_nb.parties import Federation
from fedlab_nb.records import State

if TYPE_CHECKING:
    from fedlab_nb.pool.site import Near

Floats = NDArray[np.float64]


class Writing:
    """How work is written for each of several workers; ``owners`` are the names of those at each worker."""

    def __init__(self, owners: Sequence[Collection[str]]) -> None:
        self.owners, self._everyone = owners, {name for names in owners for name in names}
        self._resident: dict[int, tuple[weakref.ref[Any], int, set[int]]] = {}
        self._over: list[deque[int]] = [deque() for _ in owners]
        self._setups: dict[int, tuple[Setup, set[int]]] = {}
        self._newest = 0

    def number(self, work: object) -> int:
        """The number of a work: the one that it has, or one that no work had before."""
        if found := self._found(work):
            return found[0]
        self._newest += 1
        return self._newest

    def over(self, worker: int) -> list[int]:
        """The numbers of works that nobody holds here any more: that worker may forget them."""
        numbers = self._over[worker]
        return [numbers.popleft() for _ in range(len(numbers))]

    def resides(self, work: object, number: int, workers: Collection[int]) -> None:
        """From now on these workers have ``work`` under this number, with all that it has computed there."""
        if self._found(work) is None:

            def forget(_: object, place: int = id(work)) -> None:
                del self._resident[place]
                self.drop(number)

            self._resident[id(work)] = weakref.ref(work, forget), number, set()
        self._resident[id(work)][2].update(workers)

    def drop(self, number: int) -> None:
        """No worker needs the work with this number any more."""
        for numbers in self._over:
            numbers.append(number)

    def _found(self, work: object) -> tuple[int, set[int]] | None:
        """The number of a work that is at workers, and at which."""
        found = self._resident.get(id(work))
        return found[1:] if found and found[0]() is work else None

    def written(self, work: object, worker: int) -> tuple[bytes, list[Side]]:
        """``work`` as bytes, and the sides of a strategy in it: what owners keep is to be noted there.

        Raises:
            SettingError: if it holds something that cannot be in another process.
        """
        body = io.BytesIO()
        pickler = _made(body, self, worker)
        try:
            pickler.dump((work, pickler.sides))
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            raise SettingError(
                f"What the owners are to compute could not be written for another process ({error}).",
                "Workers of a pool are processes of their own: they get a copy of a strategy, a model, a rule.",
                "Let it hold numbers, arrays and functions, and no open file, lock or connection; or train without "
                "a pool, over fl.Federation(owners, ...).",
            ) from None
        return body.getvalue(), list({id(side): side for side in pickler.sides}.values())

    def known(self, value: object, worker: int) -> tuple[str, Any] | None:
        """The name by which ``value`` is written for this worker, if it is one of those that go by a name."""
        if isinstance(value, Federation):
            return "near", None
        if isinstance(value, Setup):
            return "setup", self._setup(value, worker)
        found = self._found(value)
        return ("work", found[0]) if found and worker in found[1] else None

    def shown(self, state: State, worker: int) -> State:
        """The state without what owners at other workers keep for themselves."""
        mine = self.owners[worker]
        memory = {key: v for key, v in state.memory.items() if self._is_for(key, mine)}
        return State(state.weights, memory, state.context)

    def _is_for(self, key: str, mine: Collection[str]) -> bool:
        """Whether ``key``, such as "control of Owner 7", is nobody's own, or of an owner among ``mine``."""
        parts = key.split(" of ")
        owners = [o for i in range(1, len(parts)) if (o := " of ".join(parts[i:])) in self._everyone]
        return not owners or any(owner in mine for owner in owners)

    def _setup(self, setup: Setup, worker: int) -> tuple[int, Setup | bytes]:
        """How columns are read is the same all through a run: it goes to each worker once."""
        _, told = self._setups.setdefault(id(setup), (setup, set()))
        if worker in told:
            return id(setup), b""
        told.add(worker)
        return id(setup), pickle.dumps([getattr(setup, name) for name in Setup.__dataclass_fields__])


class Reading(pickle.Unpickler):
    """How a worker reads work: ``near`` stands for the federation, ``works`` and ``setups`` are what it has."""

    def __init__(self, data: bytes, near: Near, works: Mapping[int, object], setups: dict[int, Setup]) -> None:
        super().__init__(io.BytesIO(data))
        self._near, self._works, self._setups = near, works, setups

    def persistent_load(self, name: tuple[str, Any]) -> object:
        """What goes by this name."""
        kind, which = name
        if kind == "near":
            return self._near
        if kind == "work":
            return self._works[which]
        number, facts = which
        if facts:
            self._setups[number] = Setup(*pickle.loads(facts))  # from the process that started this one
        return self._setups[number]


def _made(body: io.BytesIO, writing: Writing, worker: int) -> Any:
    """A pickler; its class is made here, as cloudpickle is loaded only where there is a pool."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        sides: list[Side]

        def persistent_id(self, value: object) -> tuple[str, Any] | None:
            return writing.known(value, worker)

        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, Learner):
                return Learner.of, value.facts
            if isinstance(value, State):
                shown = writing.shown(value, worker)
                return State, (shown.weights, shown.memory, shown.context)
            if isinstance(value, Side):
                self.sides.append(value)
                return _bare, (Side,), {**vars(value), "kept": {}, "_packed": {}}
            if isinstance(value, Averaging) and value.aggregate is not None:
                return _itself, (replace(value, aggregate=None),)  # a rule is the server's, and may be large
            return super().reducer_override(value)

    pickler = Pickler(body, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.sides = []
    return pickler


def _bare(kind: type[Side]) -> Side:
    return object.__new__(kind)


def _itself(value: object) -> object:
    return value
