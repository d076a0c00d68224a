"""What goes between the two ends is written here: work by the names of its code, models as what was told.

A strategy's work knows more than an owner is to be told: the whole state of a run. What an owner gets of it is the
model that was sent to it, what its strategy shows it besides, and what it keeps for itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.flower.codec import Allowed, Hooks, decode, encode
from fedlab_nb.flower.orders.line import Elsewhere, Reply, Request
from fedlab_nb.flower.orders.owner import OwnersSide
from fedlab_nb.horizontal.averaging import Averaging
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.local import Side
from fedlab_nb.learn import Learner
from fedlab_nb.parties import Federation
from fedlab_nb.parties.house import House
from fedlab_nb.records import State

Floats = NDArray[np.float64]
Made = Mapping[str, Callable[[Any], object]]
# Replies hold no function.
_DATA = Allowed(work=frozenset(), helpers=frozenset())
# Arrays of fewer numbers are not looked for among what was told.
_SMALL = 16


class ServersWriting:
    """How the server's process writes orders for each party, and reads replies."""

    def __init__(self, strategy: Averaging | None, allowed: Allowed) -> None:
        self._strategy, self._allowed = strategy, allowed
        self._told: dict[str, dict[str, Any]] = {}
        self._known: dict[str, set[str]] = {}
        self._setups: dict[int, tuple[Setup, str, bytes]] = {}
        self._sides: list[Side] = []

    def has_told(self, party: str, kind: str, payload: Any) -> None:
        """From now on this party knows ``payload``."""
        self._told.setdefault(party, {})[kind] = payload

    @contextmanager
    def noting_sides(self) -> Iterator[list[Side]]:
        """The sides of a strategy that are written meanwhile: what owners keep is noted there."""
        self._sides = []
        yield self._sides
        # One work is written for each owner.
        self._sides[:] = list({id(side): side for side in self._sides}.values())

    def brought(self, party: str, args: Sequence[Any], named: Mapping[str, Any]) -> bytes:
        """What an order is called with, as this party may know it."""
        hooks = Hooks(lambda value: self._special(party, value))
        return encode([list(args), dict(named)], self._allowed, hooks)

    def request(self, request: Request) -> bytes:
        """The bytes of a request."""
        return encode(request, self._allowed)

    def reply(self, data: bytes) -> Reply:
        """The reply in these bytes."""
        reply = decode(data, _DATA)
        if not isinstance(reply, Reply):
            raise TypeError(type(reply))
        return reply

    def forget(self, party: str) -> None:
        """That party has begun anew: nothing is known to it."""
        self._told.pop(party, None)
        self._known.pop(party, None)

    def _special(self, party: str, value: Any) -> tuple[str, object] | None:
        if isinstance(value, np.ndarray):
            return self._as_told(party, value)
        if isinstance(value, State):
            return "state", self._shown(party, value)
        if isinstance(value, Setup):
            return "setup", self._setup(party, value)
        if isinstance(value, Side):
            self._sides.append(value)
            return "side", {**vars(value), "kept": {}, "_packed": {}}
        return _made_anew(value)

    def _as_told(self, party: str, value: NDArray[Any]) -> tuple[str, object] | None:
        """An array that rounds to what this party was told: owners compute with that."""
        if value.dtype == np.float64 and value.size >= _SMALL:
            for kind, payload in self._told.get(party, {}).items():
                fits = isinstance(payload, np.ndarray) and payload.shape == value.shape
                if fits and np.array_equal(value.astype(np.float32), payload):
                    return "told", kind
        return None

    def _shown(self, party: str, state: State) -> list[object]:
        """The model, what the strategy shows this party, what the party keeps for itself, and how columns are read."""
        mine = {key: v for key, v in state.memory.items() if isinstance(v, Elsewhere) and v.owner == party}
        shown = dict(self._strategy.shown(state, party)) if self._strategy is not None else {}
        model = shown.pop("server", state.weights["server"])
        return [model, {**shown, **mine}, state.context]

    def _setup(self, party: str, setup: Setup) -> list[object]:
        """How columns are read is the same all through a run: it goes to each party once, and by its digest after."""
        if id(setup) not in self._setups:
            data = encode(tuple(getattr(setup, name) for name in Setup.__dataclass_fields__), self._allowed)
            self._setups[id(setup)] = setup, hashlib.sha256(data).hexdigest(), data
        _, digest, data = self._setups[id(setup)]
        known = self._known.setdefault(party, set())
        if digest in known:
            return [digest, b""]
        known.add(digest)
        return [digest, data]


class PartysReading:
    """How a party reads orders and writes replies; a key holder has no ``side``."""

    def __init__(self, side: OwnersSide | None, allowed: Allowed) -> None:
        self._side, self._allowed = side, allowed
        self._setups: dict[str, Setup] = {}

    def request(self, data: bytes) -> Request:
        """The request in these bytes."""
        request = decode(data, self._allowed)
        if not isinstance(request, Request):
            raise TypeError(type(request))
        return request

    def brought(self, data: bytes) -> tuple[list[Any], dict[str, Any]]:
        """What an order is called with."""
        if self._side is not None:
            self._side.laid_aside.clear()
        args, named = decode(data, self._allowed, Hooks(made=self._made()))
        return args, named

    def reply(self, reply: Reply) -> bytes:
        """The bytes of a reply."""
        return encode(reply, self._allowed)

    def _made(self) -> Made:
        side = self._side
        if side is None:
            return {}
        return {
            "federation": lambda _: side.near,
            "house": lambda _: side.house,
            "strategy": lambda strategy: strategy,
            "learner": lambda facts: Learner.of(*facts),
            "told": lambda kind: np.asarray(side.told[kind]).astype(np.float64),
            "setup": lambda facts: self._setup(*facts),
            "state": lambda parts: _state(side, *parts),
            "side": lambda facts: _side(side, facts),
        }

    def _setup(self, digest: str, data: bytes) -> Setup:
        if data:
            if hashlib.sha256(data).hexdigest() != digest:
                raise ValueError(digest)
            self._setups[digest] = Setup(*decode(data, self._allowed))
        return self._setups[digest]


def _made_anew(value: Any) -> tuple[str, object] | None:
    """What each owner has of its own, or makes of a few settings."""
    if isinstance(value, Federation):
        return "federation", None
    if isinstance(value, House):
        return "house", None  # the one that the owner agreed to
    if isinstance(value, Learner):
        return "learner", list(value.facts)
    if isinstance(value, Averaging) and value.aggregate is not None:
        return "strategy", replace(value, aggregate=None)  # a rule is the server's, and may hold rows of its own
    return None


def _state(side: OwnersSide, weights: Floats, memory: Mapping[str, Any], context: Any) -> State:
    kept = {key: side.recall(v) if isinstance(v, Elsewhere) else v for key, v in memory.items()}
    return State({"server": weights}, {key: v for key, v in kept.items() if v is not None}, context)


def _side(owner: OwnersSide, facts: dict[str, Any]) -> Side:
    side = object.__new__(Side)
    vars(side).update(facts)
    owner.laid_aside.append(side.kept)
    return side
