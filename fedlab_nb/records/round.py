"""What one trip of the loop was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from fedlab_nb.cards import card, framed, one_line, pairs_html, panel, table_html
from fedlab_nb.records.message import READABLE, SEALED
from fedlab_nb.records.state import State
from fedlab_nb.units import bytes_text, counted, epsilon_text, listed, metric_name, number, setting_words


@dataclass(frozen=True)
class Traffic:
    """Bytes of one kind of message in one round: as they crossed, and as they are in the clear."""

    messages: int
    nbytes: int
    plain_nbytes: int
    encrypted: bool

    def _repr_html_(self) -> str:
        return card(
            "Traffic of one kind of message",
            [
                ("Messages", f"{self.messages:,}"),
                ("Sent", f"{bytes_text(self.nbytes)}{', sealed' if self.encrypted else ', in the clear'}"),
                ("The same numbers in the clear", bytes_text(self.plain_nbytes)),
            ],
        )


def traffic_html(traffic: Mapping[str, Traffic]) -> str:
    """A table of bytes by kind of message: as they crossed, and in the clear (none where no numbers are inside)."""
    rows = [
        (
            kind,
            SEALED if t.encrypted else READABLE,
            f"{t.messages:,}",
            bytes_text(t.nbytes),
            bytes_text(t.plain_nbytes) if t.plain_nbytes else "–",
        )
        for kind, t in traffic.items()
    ]
    return table_html(("Kind", "How", "Messages", "Sent", "In the clear"), rows) if rows else ""


@dataclass(frozen=True)
class Failure:
    """Why a round failed: which owner (or party), at which stage, and the error that says what to do."""

    party: str
    stage: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.party}, {self.stage}: {self.error}"

    def __repr__(self) -> str:
        return one_line(f"Failure({self})")

    def _repr_html_(self) -> str:
        rows = [("Who", self.party), ("At", self.stage), ("What it says", self.error)]
        return card("Failure of a round", rows, "Nothing more of that round was released.")


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
    chosen and dropped out, ``lost`` the owners who failed and were left out, with the reason.
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
    lost: tuple[Failure, ...] = ()

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

    def score_words(self) -> str:
        """The scores over all owners in a row, with the standard deviation of their noise; or why there are none."""
        if self.failed is not None:
            return f"failed at {self.failed}"
        parts = (
            f"{metric_name(name)} {number(value)}"
            + (f" (noise ±{number(self.noise[name])})" if self.noise.get(name) else "")
            for name, value in self.metrics.items()
        )
        return ", ".join(parts) or "no score released"

    def __repr__(self) -> str:
        spent = "" if self.epsilon is None else f", epsilon {epsilon_text(self.epsilon)}"
        parts = f"{counted(len(self.cohort), 'owner')}, {self.score_words()}{spent}, {bytes_text(self.sent)}"
        return one_line(f"Round({self.number}: {parts})")

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [
            ("Took part", f"{len(self.cohort)}: {listed(self.cohort)}" if self.cohort else "nobody"),
            *([("Dropped out", listed(self.dropped))] if self.dropped else []),
            ("On held-out rows", self.score_words()),
            *((f"{metric_name(name)} by owner", f"{number(a)} to {number(b)}") for name, (a, b) in self.spread.items()),
            ("Epsilon so far", "no guarantee" if self.epsilon is None else epsilon_text(self.epsilon)),
            ("Settings", ", ".join(setting_words(name, value) for name, value in self.settings.items()) or "not told"),
            ("Sent", f"{bytes_text(self.sent)} ({bytes_text(self.sent_if_plain)} in the clear)"),
            ("Took", f"{sum(self.seconds.values()):.2f} s"),
        ]
        body = pairs_html(rows) + traffic_html(self.traffic)
        return framed(panel(f"Round {self.number}", body, note="after=history[-1] goes on from a round."))

    def row(self) -> dict[str, object]:
        """One flat row for a table: bytes, seconds, and with each noisy metric the noise's standard deviation in it."""
        row: dict[str, object] = {"round": self.number, **self.metrics}
        row |= {f"{name}_noise": sd for name, sd in self.noise.items()}
        for name in ("accuracy", "rmse"):
            if name in self.spread:
                row[f"{name}_lowest_owner"], row[f"{name}_highest_owner"] = self.spread[name]
        row["epsilon"] = self.epsilon
        row["owners"] = len(self.cohort)
        row["bytes_sent"], row["bytes_if_plain"] = self.sent, self.sent_if_plain
        row["seconds"] = sum(self.seconds.values())
        row |= {name: value for name, value in self.settings.items() if name not in row}
        row["failed"] = str(self.failed) if self.failed else ""
        return row
