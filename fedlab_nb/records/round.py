"""What one trip of the loop was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from fedlab_nb.records.state import State


@dataclass(frozen=True)
class Traffic:
    """Bytes of one kind of message in one round: as they crossed, and as they are in the clear."""

    messages: int
    nbytes: int
    plain_nbytes: int
    encrypted: bool


@dataclass(frozen=True)
class Failure:
    """Why a round failed: which owner (or party), at which stage, and the error that says what to do."""

    party: str
    stage: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.party}, {self.stage}: {self.error}"


@dataclass(frozen=True)
class Scores:
    """What was released about one round's model: over all owners, the noise's standard deviation, and by owner."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=dict)
    by_owner: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """One trip of the loop. A failed round says so in ``failed`` and leaves the state as it was.

    ``metrics`` are over the rows that the owners hold out: exact, or released with noise whose standard
    deviation is in ``noise``; a metric that was not released is absent. ``owner_metrics`` has the same by owner.
    ``epsilon`` is the largest spending of any owner so far, None without a privacy guarantee.
    ``seconds`` are by stage, ``owner_seconds`` those that each owner took beside its rows; ``traffic`` is by kind of
    message. ``settings`` are what was in force (``{"lr": 0.1, "dropout": 0.0, ...}``), ``dropped`` the owners who were
    chosen and dropped out.
    """

    number: int
    state: State = field(repr=False)
    cohort: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=dict)
    owner_metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    epsilon: float | None = None
    failed: Failure | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    owner_seconds: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def spread(self) -> Mapping[str, tuple[float, float]]:
        """The lowest and highest value of each metric over the owners whose own was released."""
        scores: dict[str, list[float]] = {}
        for own in self.owner_metrics.values():
            for name, value in own.items():
                if math.isfinite(value):
                    scores.setdefault(name, []).append(value)
        return {name: (min(values), max(values)) for name, values in scores.items()}

    @cached_property
    def sent(self) -> int:
        """Bytes that crossed in this round."""
        return sum(flow.nbytes for flow in self.traffic.values())

    @cached_property
    def sent_if_plain(self) -> int:
        """Bytes that the same numbers take in the clear."""
        return sum(flow.plain_nbytes for flow in self.traffic.values())

    def row(self) -> dict[str, object]:
        """One flat row for a table: bytes, seconds, and with each noisy metric the noise's standard deviation in it."""
        row: dict[str, object] = {"round": self.number, **self.metrics}
        row |= {f"{name}_noise": sd for name, sd in self.noise.items()}
        for name in ("accuracy", "rmse"):
            if name in self.spread:
                row[f"{name}_lowest_owner"], row[f"{name}_highest_owner"] = self.spread[name]
        row["epsilon"] = self.epsilon
        row["owners"] = len(self.cohort)
        row |= {name: value for name, value in self.settings.items() if name not in row}
        row["bytes_sent"], row["bytes_if_plain"] = self.sent, self.sent_if_plain
        row["seconds"] = sum(self.seconds.values())
        row["failed"] = str(self.failed) if self.failed else ""
        return row
