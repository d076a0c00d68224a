"""What the eyes may see of a run at one moment: plain facts, no private rows, no live objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from fedlab_nb.cards import card, one_line
from fedlab_nb.records.history import History
from fedlab_nb.records.message import Message
from fedlab_nb.records.round import Round
from fedlab_nb.units import counted, delta_text, epsilon_text, listed, seconds_text, setting_words

RunState = Literal["preparing", "running", "paused", "finished", "stopped", "interrupted", "failed", "budget spent"]
Word = Literal["own", "reads", "sealed", "never"]
Hiding = Literal["none", "authority", "owners", "threshold", "masks"]
"""What hides single updates, by who can open sums: nobody hides them, one key holder, all owners, together, masks."""
Tone = Literal["plain", "good", "warning", "bad"]
ACTS = frozenset({"pause", "step", "stop", "change", "rewind"})


@dataclass(frozen=True)
class WhatIf:
    """If every further round had this noise: rounds that would still fit, and epsilon after the planned last one.

    ``rounds`` is None where nothing limits them; where fewer fit than are planned, the budget ends the run before that
    ``epsilon`` is reached, which is None where none would hold.
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
    rounds to come, the noise in force among it; ``forecast`` is epsilon after the planned last round. ``first`` is the
    owner whose budget ends before the others' do, and how many more rounds it can take part in. ``naive`` is what
    ``spent`` would be if the epsilon of each release were added up by itself, told when no further round is to come.
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
    first: tuple[str, int] | None = None
    naive: float | None = None

    def __repr__(self) -> str:
        spent = f"epsilon {epsilon_text(self.spent)}, unit {self.unit}" if self.private else "no guarantee"
        return f"Spending({spent})"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [
            ("Epsilon spent", epsilon_text(self.spent) if self.private else "no guarantee"),
            ("Epsilon agreed", epsilon_text(self.agreed)),
            ("Delta", delta_text(self.delta)),
            ("Hides a single", self.unit if self.private else "nothing"),
            ("Rounds that still fit", "–" if self.left is None else f"{self.left:,}"),
            *([("Who stops first", self.first_words)] if self.first else ()),
            *([("Each release added by itself", f"epsilon {epsilon_text(self.naive)}")] if self.naive else ()),
            *((f"{what}, alone", f"epsilon {alone}") for what, alone in self.lines),
        ]
        return card("Privacy budget of the owner that spent most", rows, self.claim)

    @property
    def first_words(self) -> str:
        """Whose budget ends first and when, as a sentence; "" where no owner's ends before the others'."""
        if self.first is None:
            return ""
        name, rounds = self.first
        fit = "no further round fits" if rounds == 0 else f"{counted(rounds, 'more round')} fit{'s' * (rounds == 1)}"
        return f"{one_line(name)} stops first: {fit}."

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

    def __repr__(self) -> str:
        return f"Access({self.kind!r}: owner {self.owner}, server {self.server}, key holder {self.key_holder})"

    def _repr_html_(self) -> str:
        rows = [("Owner", self.owner), ("Server", self.server), ("Key holder", self.key_holder)]
        return card(f"Who sees what: {self.kind}", rows)


@dataclass(frozen=True)
class Threat:
    """One line of the threat card: who (alone or together) could learn what; ``safe`` None means "it depends"."""

    who: str
    could_read: str
    safe: bool | None

    def _repr_html_(self) -> str:
        verdict = {True: "safe", False: "exposed", None: "depends"}[self.safe]
        return card("Threat", [("Who", self.who), ("Could learn", self.could_read), ("Verdict", verdict)])


@dataclass(frozen=True)
class OwnerLine:
    """One owner as the eyes may see it; None is what was not released, or what nobody can read.

    ``rounds`` counts the rounds it took part in, ``share`` is its part of the length of all readable updates of the
    newest round, ``seconds`` the time that it took beside its rows in that round. ``own_score`` is the score of the
    model that is its own, where the strategy gives it one.
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
    own_score: float | None = None


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


class Hop(NamedTuple):
    """A kind of message that one party sent another."""

    kind: str
    sender: str
    receiver: str
    sealed: bool


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment, ready to be drawn. ``left`` is the estimated seconds to the end, None if unknown.

    ``settings`` are those that the next round will have. ``branches`` are the rounds that a rewind left behind, or
    those of the run that this one was forked from; ``before`` is the round that this run goes on from. ``between`` is
    what went from owner to owner, or to who opens, in the newest round: None where owners hold the same columns.
    ``acts`` are what a person may do: of a run elsewhere not everything.
    """

    title: str
    state: RunState
    num_rounds: int
    history: History
    spending: Spending
    access: tuple[Access, ...] = ()
    threats: tuple[Threat, ...] = ()
    hiding: Hiding = "none"
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
    between: tuple[Hop, ...] | None = None
    acts: frozenset[str] = ACTS

    def __repr__(self) -> str:
        return one_line(f"Snapshot({self.title}: {self.state}, {self._round_words()}, {self.history!r})")

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [
            ("State", f"{self.state}, {self._round_words()}"),
            ("Owners", listed(self.owners)),
            ("Last scores", self.history[-1].score_words() if self.history else "none yet"),
            ("Privacy", self.spending.claim),
            (
                "Settings of the next round",
                ", ".join(setting_words(*pair) for pair in self.settings.items()) or "not told",
            ),
            ("Time so far", seconds_text(self.elapsed)),
        ]
        return card(f"{self.title}: the run at one moment", rows, self.note)

    def _round_words(self) -> str:
        return f"round {self.history[-1].number if self.history else 0} of {self.num_rounds}"

    @property
    def at(self) -> int:
        """The number of the newest round, or of the one that this run goes on from; 0 before any."""
        last = self.history[-1] if self.history else self.before
        return last.number if last is not None else 0

    @property
    def changes(self) -> tuple[tuple[int, str, float, float], ...]:
        """Every setting that changed in this run (see History.changes), at its start too where it goes on from one."""
        return (self.history if self.before is None else History((self.before, *self.history))).changes
