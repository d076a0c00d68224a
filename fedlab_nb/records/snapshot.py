"""What the eyes may see of a run at one moment: plain facts, no private rows, no live objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fedlab_nb.records.history import History
from fedlab_nb.records.message import Message
from fedlab_nb.records.round import Round

RunState = Literal["preparing", "running", "paused", "finished", "stopped", "interrupted", "failed", "budget spent"]
Word = Literal["own", "reads", "sealed", "never"]
Tone = Literal["plain", "good", "warning", "bad"]


@dataclass(frozen=True)
class WhatIf:
    """If every further round had this noise: rounds that would still fit, and epsilon after the planned last one.

    ``rounds`` is None where nothing limits them, ``epsilon`` None where no epsilon would hold.
    """

    noise_multiplier: float
    rounds: int | None
    epsilon: float | None


@dataclass(frozen=True)
class Spending:
    """The privacy budget of the owner that spent most: agreed and spent epsilon, and what they mean in words.

    ``claim`` is a full sentence computed from the events ("Every row: epsilon 8.0, delta 0.001, ..." or "No guarantee:
    ..."). ``private`` is False whenever that sentence is not a guarantee. ``left`` is the number of further rounds that
    fit, None if unknown. ``lines`` are (what left, epsilon of it alone) for the card, ``what_if`` other noise for the
    rounds to come, the noise in force among it; ``forecast`` is epsilon after the planned last round.
    """

    agreed: float | None
    delta: float | None
    spent: float | None
    unit: str
    claim: str
    private: bool
    left: int | None = None
    lines: tuple[tuple[str, str], ...] = ()
    what_if: tuple[WhatIf, ...] = ()
    noise_multiplier: float | None = None

    @property
    def forecast(self) -> float | None:
        """Epsilon after the planned last round, if the noise stays as it is."""
        return next((w.epsilon for w in self.what_if if w.noise_multiplier == self.noise_multiplier), None)


@dataclass(frozen=True)
class Access:
    """One row of "who sees what": a kind of thing, and what each party could do with it, counted in the ledger.

    ``samples`` are the newest messages of that kind, one for each party's word (owner, server, key holder); None where
    nothing of the kind reached that party.
    """

    kind: str
    owner: Word
    server: Word
    key_holder: Word
    samples: tuple[Message | None, Message | None, Message | None] = (None, None, None)


@dataclass(frozen=True)
class Threat:
    """One line of the threat card: who (alone or together) could learn what; ``safe`` None means "it depends"."""

    who: str
    could_read: str
    safe: bool | None


@dataclass(frozen=True)
class OwnerLine:
    """One owner as the eyes may see it; None is what was not released, or what nobody can read.

    ``rounds`` counts the rounds it took part in, ``share`` is its part of the length of all readable updates of the
    newest round, ``seconds`` the time that it took beside its rows in that round.
    """

    name: str
    rounds: int
    present: bool
    dropped: bool
    rows: int | None = None
    score: float | None = None
    share: float | None = None
    epsilon_left: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Note:
    """One line of what happened in a run: after which round, how many seconds in, and in words."""

    round: int
    seconds: float
    words: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Branch:
    """Rounds of another course, drawn faintly: ``label`` says which; the first is the round where the ways part.

    ``own`` says that a rewind left them behind: they count among this run's bytes.
    """

    label: str
    history: History
    own: bool = False


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment, ready to be drawn. ``left`` is the estimated seconds to the end, None if unknown.

    ``settings`` are those that the next round will have. ``branches`` are the rounds that a rewind left behind, or
    those of the run that this one was forked from; ``before`` is the round that this run goes on from.
    """

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
    lines: tuple[OwnerLine, ...] = ()
    notes: tuple[Note, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)
    branches: tuple[Branch, ...] = ()
    before: Round | None = None

    @property
    def changes(self) -> tuple[tuple[int, str, float, float], ...]:
        """Every setting that changed in this run (see History.changes), at its start too where it goes on from one."""
        return (self.history if self.before is None else History((self.before, *self.history))).changes
