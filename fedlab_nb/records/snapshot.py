"""What the eyes may see of a run at one moment: plain facts, no private rows, no live objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fedlab_nb.records.history import History

RunState = Literal["preparing", "running", "paused", "finished", "stopped", "interrupted", "failed", "budget spent"]


@dataclass(frozen=True)
class Spending:
    """The privacy budget of the owner that spent most: agreed and spent epsilon, and what they mean in words.

    ``claim`` is a full sentence computed from the events ("Every row: epsilon 8.0, delta 0.001, ..." or "No guarantee:
    ..."). ``private`` is False whenever that sentence is not a guarantee. ``left`` is the number of further rounds that
    fit, None if unknown. ``lines`` are (what left, epsilon of it alone) for the card.
    """

    agreed: float | None
    delta: float | None
    spent: float | None
    unit: str
    claim: str
    private: bool
    left: int | None = None
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Access:
    """One row of "who sees what": a kind of thing, and what each party could do with it, counted in the ledger."""

    kind: str
    owner: Literal["own", "reads", "sealed", "never"]
    server: Literal["own", "reads", "sealed", "never"]
    key_holder: Literal["own", "reads", "sealed", "never"]


@dataclass(frozen=True)
class Threat:
    """One line of the threat card: who (alone or together) could learn what; ``safe`` None means "it depends"."""

    who: str
    could_read: str
    safe: bool | None


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment, ready to be drawn. ``left`` is the estimated seconds to the end, None if unknown."""

    title: str
    state: RunState
    num_rounds: int
    history: History
    spending: Spending
    access: tuple[Access, ...] = ()
    threats: tuple[Threat, ...] = ()
    metric: str = "accuracy"
    note: str = ""
    elapsed: float = 0.0
    left: float | None = None
    owners: tuple[str, ...] = field(default_factory=tuple)
