"""The clock of a simulated federation without waiting: who is at work since which model, and who comes next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.records import State

Floats = NDArray[np.float64]
IDLE = -1.0


@dataclass(frozen=True, eq=False)
class Clock:
    """Where the owners (n,) are after ``steps`` steps of the server.

    ``begun`` (n,) is the step after which each got the model that it is at work on, -1 for who waits for the next
    one; ``left`` (n,) is how much time each still needs, below zero where it is ready and could not be reached;
    ``time`` is what has passed.
    """

    begun: Floats
    left: Floats
    steps: int = 0
    time: float = 0.0

    @staticmethod
    def of(state: State, owners: int) -> Clock:
        """The clock in a state; a new one, with nobody at work, before the first round."""
        if "begun" not in state.memory:
            return Clock(np.full(owners, IDLE), np.zeros(owners))
        steps, time = state.memory["clock"]
        return Clock(state.memory["begun"], state.memory["left"], int(steps), float(time))

    def memory(self) -> dict[str, Floats]:
        """What a state has to hold of it."""
        return {"begun": self.begun, "left": self.left, "clock": np.array([float(self.steps), self.time])}

    @property
    def in_use(self) -> frozenset[int]:
        """The steps whose model somebody is still at work on."""
        return frozenset(int(step) for step in self.begun if step != IDLE)

    def seen_by(self, owner: int) -> Clock:
        """What one owner is told of it: since which step it is at work itself, and how many there have been."""
        mine = np.arange(self.begun.size) == owner
        return Clock(np.where(mine, self.begun, IDLE), np.zeros(self.left.size), self.steps)

    def began(self, durations: Floats, reached: Collection[int]) -> tuple[Clock, tuple[int, ...]]:
        """Those who wait, and can be reached, begin with the newest model; the clock then, and who they are."""
        fresh = tuple(i for i in reached if self.begun[i] == IDLE)
        begun, left = self.begun.copy(), self.left.copy()
        begun[list(fresh)], left[list(fresh)] = self.steps, durations[list(fresh)]
        return Clock(begun, left, self.steps, self.time), fresh

    def arrivals(self, reached: Sequence[int], most: int) -> tuple[int, ...]:
        """The ``most`` who are done first, of those who can be reached and are at work; in the order of the owners."""
        at_work = [i for i in reached if self.begun[i] != IDLE]
        first = sorted(at_work, key=lambda i: (self.left[i], i))[:most]
        return tuple(sorted(first))

    def after(self, arrived: Sequence[int]) -> Clock:
        """The clock when the last of ``arrived`` is there and the server has made its step: they wait for its model."""
        passed = max([*(float(self.left[i]) for i in arrived), 0.0])
        begun, left = self.begun.copy(), self.left - passed
        begun[list(arrived)], left[list(arrived)] = IDLE, 0.0
        return Clock(begun, left, self.steps + 1, self.time + passed)


def drawn_durations(owners: int, seed: int) -> Floats:
    """How long each owner (n,) takes for a round of local steps: half-normal, in units of no meaning.

    Source: Nguyen et al. 2022, "Federated learning with buffered asynchronous aggregation", section 5: training times
    of phones follow a half-normal distribution.
    """
    return np.abs(np.random.default_rng([seed, 7]).normal(size=owners))
