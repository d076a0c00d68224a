"""The owners' side of one round, as a strategy's ``local`` sees it: each owner's rows, and what it kept for itself.

In a notebook the owners of a round may be trained together, as one batch of models; nothing here mixes their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.compress import Compressor, Packed, RandomK
from fedlab_nb.horizontal.prepare import Setup, encoded
from fedlab_nb.learn import Job, Learner, Rule, Trained
from fedlab_nb.parties import Rows
from fedlab_nb.records import State, Update

if TYPE_CHECKING:
    from fedlab_nb.horizontal.averaging import Averaging

Floats = NDArray[np.float64]
ByOwner = Mapping[str, Floats]
Shape = Callable[[Floats], Floats]
# Numbers that cross as 32-bit ones, and may be scaled up before.
PACKABLE = 1e30


class LocalRound:
    """The owners ``names`` at work in round ``number``; ``weights`` (d,) is the model that they were sent."""

    def __init__(self, side: Side, rows: Mapping[str, Rows]) -> None:
        self.names, self.number = tuple(rows), side.number
        self.weights = side.state.weights["server"].astype(np.float32).astype(np.float64)
        self.lr, self.epochs, self.batch_size = side.lr, side.epochs, side.batch_size
        self.learner, self.setup, self.state = side.learner, side.setup, side.state
        self._places = side.places
        self.kept: dict[str, dict[str, Floats]] = {}
        self._data = {name: encoded(own, self.setup.encoding, "training") for name, own in rows.items()}

    @property
    def parameters(self) -> int:
        """How many of the d numbers are parameters: the first ones; the rest are running statistics."""
        return self.learner.parameters

    def rows(self, name: str) -> int:
        """How many training rows an owner has: only beside them."""
        return len(self._data[name][0])

    def train(
        self,
        rule: Rule,
        *,
        start: ByOwner | None = None,
        offset: ByOwner | None = None,
        anchor: ByOwner | None = None,
        epochs: int | None = None,
    ) -> dict[str, Trained]:
        """Train each owner's copy on its own rows: from ``start`` (left out: the model that was sent).

        ``offset`` is added to its gradients, ``anchor`` is what a proximal term pulls to (left out: ``start``).
        """
        jobs = [
            Job(
                self._key(name),
                *self._data[name],
                self.weights if start is None else start[name],
                None if offset is None else offset[name],
                None if anchor is None else anchor[name],
            )
            for name in self.names
        ]
        trained = self.learner.train(jobs, rule, epochs=epochs or self.epochs, batch_size=self.batch_size)
        return dict(zip(self.names, trained, strict=True))

    def changes(self, rule: Rule, *, epochs: int | None = None) -> dict[str, Floats]:
        """The change (d,) that training the model that was sent makes at each owner; no more is held of it."""
        jobs = [Job(self._key(name), *self._data[name], self.weights) for name in self.names]
        epochs, size = epochs or self.epochs, self.batch_size
        found = self.learner.each(jobs, rule, self._change, epochs=epochs, batch_size=size)
        return dict(zip(self.names, found, strict=True))

    def _change(self, end: Trained) -> Floats:
        change = end.weights  # read for this alone, so that it may be written over
        change -= self.weights
        return change

    def losses(self, weights: ByOwner | None = None) -> dict[str, float]:
        """Each owner's mean loss on its own training rows, at its own ``weights`` (left out: the model sent)."""
        at = {name: self.weights if weights is None else weights[name] for name in self.names}
        jobs = [Job(self._key(name), *self._data[name], at[name]) for name in self.names]
        return dict(zip(self.names, self.learner.losses(jobs).tolist(), strict=True))

    def _key(self, name: str) -> tuple[int, int, int]:
        return self.setup.seed, self.number, self._places[name]

    def own(self, kind: str, default: Floats | None = None) -> dict[str, Floats]:
        """What each owner kept under ``kind`` in earlier rounds; in its first round ``default`` (left out: zeros)."""
        fresh = np.zeros_like(self.weights) if default is None else default
        return {name: self.state.memory.get(kept(kind, name), fresh) for name in self.names}

    def keep(self, name: str, **arrays: Floats) -> None:
        """Owner ``name`` keeps ``arrays`` for its next rounds. They stay with it: nothing is sent."""
        self.kept.setdefault(name, {}).update({kept(kind, name): array for kind, array in arrays.items()})


def kept(kind: str, name: str) -> str:
    """Where a state holds what owner ``name`` keeps under ``kind``."""
    return f"{kind} of {name}"


class Side:
    """The owners' side of a round as the channel calls it: for one owner's rows, or for those of several at once."""

    def __init__(
        self,
        strategy: Averaging,
        learner: Learner,
        state: State,
        number: int,
        *,
        lr: float,
        epochs: int,
        batch_size: int | None,
        equal: bool,
        hides_owners: bool,
    ) -> None:
        self.learner, self.state, self.number = learner, state, number
        self.setup: Setup = state.context  # type: ignore[assignment]
        self.places = {name: place for place, name in enumerate(self.setup.owners)}
        self.lr, self.epochs, self.batch_size = lr, epochs, batch_size
        self.equal, self.hides_owners = equal, hides_owners
        self.kept: dict[str, dict[str, Floats]] = {}
        self._strategy = strategy
        self._shape: Shape = _as_it_is
        self._packs: Compressor | None = None
        self._packed: dict[str, Packed] = {}

    @property
    def at_once(self) -> bool:
        """True if the owners of a round are to be trained together."""
        return self.learner.stacks

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.setup.seed

    def shaped(self, shape: Shape) -> Side:
        """The same, with what each owner sends put into another shape beside its rows."""
        other, before = copy(self), self._shape  # what owners keep is shared by both
        other._shape = lambda value: shape(before(value))  # noqa: SLF001
        return other

    def compressed(self, compressor: Compressor) -> Side:
        """The same, with what each owner sends packed; with error feedback it keeps for later what was not sent."""
        other = copy(self)
        other._packs = compressor  # noqa: SLF001
        return other

    def kept_without(self, failed: Collection[str]) -> dict[str, Floats]:
        """What owners keep of this round; who failed keeps nothing: what it had computed may be no numbers."""
        return {key: array for name, own in self.kept.items() if name not in failed for key, array in own.items()}

    def payload(self, name: str) -> Packed:
        """The bytes that owner ``name`` sends."""
        return self._packed[name]

    def __call__(self, name: str, rows: Rows) -> Update:
        """What one owner sends."""
        return self.together({name: rows})[name]

    def together(self, rows: Mapping[str, Rows]) -> dict[str, Update]:
        """What each owner sends, times its weight: 1, or its number of rows as a multiple of the mean."""
        local = LocalRound(self, rows)
        sent = dict(self._strategy.local(local))
        if self._packs is not None:
            sent = {name: self._pack(self._packs, local, name, vector) for name, vector in sent.items()}
        self.kept.update(local.kept)
        if self.hides_owners:
            # That an owner's numbers went wrong hangs on its rows, and no noise covers it: they count as none.
            sent = {name: v if np.isfinite(v).all() else np.zeros(v.size) for name, v in sent.items()}
        # Around 1, whatever the number of owners: numbers keep their size on the grid of a sum.
        n = len(self.setup.owners)
        weights = {name: 1.0 if self.equal else n * local.rows(name) / self.setup.rows for name in rows}
        # Taken out one by one: what is done with goes before the next is made.
        return {name: Update(self._shape(sent.pop(name)) * weight, weight) for name, weight in weights.items()}

    def _pack(self, compressor: Compressor, local: LocalRound, name: str, vector: Floats) -> Floats:
        owed = local.own("not sent", np.zeros(vector.size)) if getattr(compressor, "feedback", False) else {}
        whole = vector + owed.get(name, 0.0)
        if not np.abs(whole).max(initial=0.0) <= PACKABLE:
            return np.full(whole.size, np.nan)  # refused in its owner's name where it is looked at
        if isinstance(compressor, RandomK):
            packed: Packed = compressor.select(whole, self.seed, self.number)
        else:
            owner = self.places[name]
            packed = compressor.compress(whole, np.random.default_rng([self.seed, self.number, owner, 6]))
        self._packed[name], sent = packed, packed.restore()
        if getattr(compressor, "feedback", False):
            local.keep(name, **{"not sent": whole - sent})
        return sent


def _as_it_is(value: Floats) -> Floats:
    return value
