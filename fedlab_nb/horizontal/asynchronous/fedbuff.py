"""FedBuff: the server makes a step whenever so many updates have come, however old the models that they began with.

Source: Nguyen et al. 2022, "Federated learning with buffered asynchronous aggregation", Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.horizontal.asynchronous.clock import Clock, drawn_durations
from fedlab_nb.horizontal.averaging import Averaging, Memory
from fedlab_nb.horizontal.owner_level import expected_owners
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.combining import Terms, combined
from fedlab_nb.horizontal.side.local import LocalRound
from fedlab_nb.horizontal.side.ranges import check_server_lr
from fedlab_nb.horizontal.side.state import moved
from fedlab_nb.parties import Federation
from fedlab_nb.protect import AdaptiveClip, OwnerLevelDP
from fedlab_nb.records import Round, State
from fedlab_nb.settings import check_setting, is_real, is_whole

Floats = NDArray[np.float64]

# The paper's buffer.
MOST_AT_FIRST = 10
# The model that an owner is at work on, apart from those that it is told meanwhile to score them.
BEGUN = "model, to begin with"


@dataclass(frozen=True, repr=False)
class FedBuff(Averaging):
    """w <- w + server_lr * mean over the buffer of change_i / sqrt(1 + s_i),  s_i the server's steps meanwhile.

    A round is one step of the server, made when ``buffer_size`` updates have come. change_i is what owner i learned
    from the model that it began with, which is s_i steps old by then. Left out, ``buffer_size`` is half of the owners,
    10 at most. With all owners in the buffer nobody is late, and it is ``fl.FedAvg`` with equal weights.

    That owners work side by side is simulated, in one process and without waiting: a clock of its own says who comes
    next. Each owner takes as long for a round of local steps as ``durations`` says (one number an owner, in any unit;
    left out, drawn from the run's seed), whatever it really takes here. Past one machine lateness is simulated as well:
    an owner computes when its turn has come, and is waited for, so that no time is saved. Who has sent an update begins
    anew, with the model of the step that followed. Owners that ``sample_rate`` or ``dropout`` take out of a round
    cannot be reached in it: they send, and begin, later. Models that somebody is still at work on are part of the run's
    state, so that a run goes on as if it had never stopped.

    A round's ``cohort`` are the owners that could be reached; who sent is in the ledger. Under ``fl.OwnerLevelDP`` the
    sum is divided by ``buffer_size``, and an owner is charged in full whenever it sends: who comes when follows from
    the durations, which must be public, and never from rows.
    """

    weighting: Literal["rows", "equal"] | None = "equal"
    buffer_size: int | None = field(default=None, kw_only=True)
    durations: tuple[float, ...] | None = field(default=None, kw_only=True)
    server_lr: float = field(default=1.0, kw_only=True)

    title: ClassVar[str] = "FedBuff: buffered asynchronous averaging (simulated)"
    formula: ClassVar[str] = (
        "w ← w + server_lr · mean of change / √(1 + steps meanwhile), over the updates in the buffer"
    )
    one_step: ClassVar[bool] = False
    stateless: ClassVar[bool] = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Updates that are added whenever they come, and what averaging needs."""
        return (*super().needs, "late arrivals")

    def step(self, state: State, federation: Federation, number: int, cohort: Sequence[str], *, last: bool) -> State:
        """One step of the server: who waits begins, the buffer fills, its mean moves the model."""
        if not cohort:
            return super().step(state, federation, number, cohort, last=last)
        setup: Setup = state.context  # type: ignore[assignment]
        weights, names = state.weights["server"], federation.names
        places, size = {name: place for place, name in enumerate(names)}, self._size(federation)
        reached = [places[name] for name in cohort]
        clock, fresh = Clock.of(state, len(names)).began(self._durations(setup), reached)
        federation.tell(BEGUN, weights.astype(np.float32), number=number, to=[names[i] for i in fresh])
        arrived = clock.arrivals(reached, size)
        senders = tuple(names[i] for i in arrived)
        noise = self._noise(setup, federation.house.protect)
        debits, ahead = self._debits(setup, federation, number, senders, noise, last=last)
        learner = self._learner(setup)
        models = {_model(clock.steps): weights.astype(np.float32).astype(np.float64)}
        now = State(state.weights, {**state.memory, **models, **clock.memory()}, setup)
        side = self._side(learner, now, federation, number)
        terms = Terms(number, senders, debits, ahead, (), "", noise)
        mean, kept = combined(self, federation, now, side, terms, self._parts(learner))
        if isinstance(federation.house.protect, OwnerLevelDP):
            mean = mean * (expected_owners(federation) / size)
        new, _ = self.serve(now, mean, federation.came(senders))
        then = clock.after(arrived)
        return _forgetting(
            moved(now, new, {**then.memory(), **kept, **side.kept_without(federation.losses.names)}), then
        )

    def local(self, at: LocalRound) -> dict[str, Floats]:
        """Beside the rows: train from the model that the owner began with; send the change, less the older that is."""
        clock = Clock.of(at.state, len(at.setup.owners))
        steps = dict(zip(at.setup.owners, clock.begun.astype(int).tolist(), strict=True))
        begun = {name: steps[name] for name in at.names}
        start = {name: at.state.memory[_model(step)] for name, step in begun.items()}
        ends = at.train(self.rule(at.lr), start=start)
        return {n: (end.weights - start[n]) / np.sqrt(1.0 + clock.steps - begun[n]) for n, end in ends.items()}

    def shown(self, state: State, name: str) -> dict[str, Floats]:
        """The model that it is at work on, which may be older than the newest, and how old; of the others nothing."""
        setup: Setup = state.context  # type: ignore[assignment]
        mine = setup.owners.index(name)
        clock = Clock.of(state, len(setup.owners)).seen_by(mine)
        began = _model(int(clock.begun[mine]))
        model = state.memory[began]
        return {**clock.memory(), began: model, "server": model}

    def serve(self, state: State, mean: Floats, came: float) -> tuple[Floats, Memory]:  # noqa: ARG002
        """At the server: a step of ``server_lr`` along the mean of the buffer."""
        return state.weights["server"] + self.server_lr * mean, {}

    def check(self, federation: Federation, num_rounds: int, *, seed: int = 0, after: Round | None = None) -> None:
        """Refuse a buffer that never fills or hides nobody, durations that do not fit, and what averaging refuses.

        Raises:
            SettingError, RuleError, BudgetExceededError.
        """
        owners, house = len(federation.names), federation.house
        check_server_lr(self, example="1.0")
        least = 2 if house.encrypt else 1
        why = f"A round waits for so many of {owners} owners, each of which sends once" + ", and a sum hides two." * (
            least - 1
        )
        size, fits = self.buffer_size, is_whole(self.buffer_size, least)
        check_setting(
            "FedBuff",
            "buffer_size",
            size,
            fits=size is None or (fits and size <= owners),
            wanted=f"a whole number from {least} to {owners}",
            why=why,
            example=str(self._size(federation) if size is None or not fits else min(owners, MOST_AT_FIRST)),
        )
        self._check_durations(owners)
        if house.protect is not None and isinstance(house.protect.clip, AdaptiveClip):
            raise RuleError(
                "FedBuff runs with an adaptive clip norm.",
                "That norm follows how many of all owners were clipped, and only those in the buffer send anything.",
                "Use a fixed clip norm: fl.OwnerLevelDP(clip=1.0).",
            )
        super().check(federation, num_rounds, seed=seed, after=after)

    def _check_durations(self, owners: int) -> None:
        given: object = self.durations
        if given is None:
            return
        listed = given if isinstance(given, tuple) else None
        if listed is None or len(listed) != owners or not all(is_real(t, 0.0) and np.isfinite(t) for t in listed):
            many = type(given).__name__ if listed is None else f"{len(listed)} values"
            raise SettingError(
                f"FedBuff has durations={many}, and the federation has {owners} owners.",
                "Each owner needs one number above zero: how long it takes for a round of local steps.",
                f"Give a tuple of {owners} numbers in the order of the owners, or leave it out.",
            )

    def _size(self, federation: Federation) -> int:
        """How many updates make a round."""
        return self.buffer_size or max(min(-(-len(federation.names) // 2), MOST_AT_FIRST), 2)

    def _durations(self, setup: Setup) -> Floats:
        if self.durations is not None:
            return np.asarray(self.durations, dtype=np.float64)
        return drawn_durations(len(setup.owners), setup.seed)


def _model(step: int) -> str:
    """Where a state holds the model after a step of the server, while somebody is at work on it."""
    return f"model of step {step}"


def _forgetting(state: State, clock: Clock) -> State:
    """The state without the models that nobody is at work on any more."""
    kept = {_model(step) for step in clock.in_use}
    memory = {n: value for n, value in state.memory.items() if n in kept or not n.startswith("model of step ")}
    return State(state.weights, memory, state.context)
