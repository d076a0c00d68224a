"""The course of one run: its rounds so far, and how it goes on from any of them with other settings.

A change of settings and a rewind are nothing but a new ``rounds(..., after=...)``: the loop itself knows of neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace

from fedlab_nb.checkpoint import Checkpoint
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.house import House
from fedlab_nb.parties.rules import check_house, is_number
from fedlab_nb.records import Branch, History, Round
from fedlab_nb.records.snapshot import Tone
from fedlab_nb.rounds import Strategy, rounds

# What the federation keeps; any other setting is the strategy's own, if it is a dataclass that has such a field.
HOUSE = ("sample_rate", "dropout", "clip", "noise_multiplier")


class Course:
    """Rounds of a strategy over a federation, one at a time; between two of them it can be changed or go back.

    ``branches`` are other courses: what a rewind left behind, or the rounds of the run that this one was forked from.
    With a ``checkpoint`` it goes on after the rounds that are there, and is kept there.

    Raises:
        SettingError, RuleError, BudgetExceededError: what cannot work, before anything leaves.
    """

    def __init__(
        self,
        federation: Federation,
        strategy: Strategy,
        *,
        num_rounds: int,
        seed: int = 0,
        after: Round | None = None,
        branches: tuple[Branch, ...] = (),
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.federation, self.strategy, self.num_rounds = federation, strategy, num_rounds
        self.seed, self.after, self.branches = seed, after, branches
        self.checkpoint = checkpoint
        self.records: list[Round] = list(checkpoint.rounds) if checkpoint else []
        over = bool(self.records) and self.records[-1].number >= num_rounds
        self._stream = iter(()) if over else self._from(self.last)

    def _from(self, after: Round | None) -> Iterator[Round]:
        return rounds(self.federation, self.strategy, num_rounds=self.num_rounds, seed=self.seed, after=after)

    @property
    def history(self) -> History:
        """The rounds so far, oldest first."""
        return History(self.records)

    @property
    def last(self) -> Round | None:
        """The round that the next one will follow."""
        records = self.records  # read once: another thread may be rewinding
        return records[-1] if records else self.after

    @property
    def settings(self) -> dict[str, float]:
        """What the next round will run under, as far as ``change`` can change it."""
        last = self.last
        state = last.state if last is not None and last.state.context is not None else None
        own: set[str] = {f.name for f in fields(self.strategy)} if is_dataclass(self.strategy) else set()
        all_settings = self.strategy.settings(self.federation, state)
        return {n: v for n, v in all_settings.items() if is_number(v) and (n in own or n in HOUSE)}

    @property
    def goes_on(self) -> bool:
        """Whether rounds follow the last one although it failed: never in one process, where it would fail again."""
        return False

    def next(self) -> Round | None:
        """The next round, not yet among ``records``; None after the last."""
        return next(self._stream, None)

    def keep(self, record: Round) -> None:
        """Take ``record`` among the records; with a checkpoint it is on the disk when this returns."""
        self.records.append(record)
        if self.checkpoint is not None:
            self.checkpoint.keep(record)

    def news(self, record: Round) -> list[tuple[str, Tone]]:
        """What a reader should hear of a round that was just kept: who was left out, and how owners were computed."""
        lost: list[tuple[str, Tone]] = []
        for failure in record.lost:
            why = getattr(failure.error, "what", str(failure.error))
            lost.append((f"Round {record.number} went on without {failure.party}: {why}", "warning"))
        computed = getattr(self.strategy, "computed", None)
        if computed is None or record.failed is not None or len(self.records) > 1 or not record.cohort:
            return lost
        return [*lost, (computed(record.state), "plain")]

    def tried(self, changes: Mapping[str, float]) -> tuple[Strategy, House]:
        """The strategy and the house with these settings; nothing is changed yet.

        Raises:
            SettingError, RuleError: what cannot work.
        """
        strategy, house, known = self.strategy, self.federation.house, self.settings
        for name, value in changes.items():
            if name not in known or not is_number(value):
                raise SettingError(
                    f"{name}={value!r} was asked for.",
                    f"What may be changed in this run are numbers: {', '.join(known)}.",
                    f"For example run.change({next(iter(known))}={known[next(iter(known))]:g}).",
                )
        mine = {name: value for name, value in changes.items() if name not in HOUSE}
        changed: Strategy = replace(strategy, **mine) if mine else strategy  # type: ignore[type-var]
        others = {name: value for name, value in changes.items() if name in HOUSE}
        house = check_house(house.adjusted(others), self.federation.schema, self.federation.owners)
        if self.last is not None and self.last.state.context is not None:
            changed.check(self.federation, self.num_rounds, after=self.last)
        return changed, house

    def change(self, changes: Mapping[str, float]) -> None:
        """Other settings from the next round on.

        Raises:
            SettingError, RuleError, BudgetExceededError: what cannot work; nothing is changed then.
        """
        before = self.strategy, self.federation.house
        try:
            self.strategy, self.federation.house = self.tried(changes)
            if self.last is None or self.last.number < self.num_rounds:
                self._stream = self._from(self.last)
        except BaseException:
            self.strategy, self.federation.house = before
            raise

    def resume_settings(self, then: Mapping[str, float], asked: Mapping[str, float]) -> None:
        """Take up the settings of an earlier round, as far as this run has such, and those that were ``asked`` for.

        Raises:
            SettingError, RuleError, BudgetExceededError: what cannot work; nothing is changed then.
        """
        now = self.settings
        wanted = {n: v for n, v in then.items() if (n in now or n in asked) and now.get(n) != v}
        if wanted:
            self.change(wanted)

    def check_rewind(self, to: object) -> None:
        """Refuse to go back to a round that there is not.

        Raises:
            SettingError: saying which rounds there are.
        """
        first = self.after.number if self.after is not None else 1
        last = self.records[-1].number if self.records else first
        if not is_number(to, whole=True) or not first <= to < last:  # type: ignore[operator]
            there = f"The run is at round {last}, so it can go back to any of rounds {first} to {last - 1}."
            raise SettingError(
                f"Rewinding to round {to!r} was asked for.",
                there if first < last else "There is no earlier round to go back to yet.",
                "Rewind to one of these; to begin anew, train anew.",
            )

    def rewind(self, to: int) -> None:
        """Go back to how things were after round ``to``; what was played after it becomes a branch.

        Raises:
            BudgetExceededError: if no further round fits; nothing is changed then.
        """
        kept = [record for record in self.records if record.number <= to]
        parting = kept[-1] if kept else self.after
        left = [record for record in (parting, *self.records[len(kept) :]) if record is not None]
        self._stream = self._from(parting)
        self.records = kept
        self.branches = (*self.branches, Branch(f"before rewinding to round {to}", History(left), own=True))

    def forked(self, after: int | None, num_rounds: int | None) -> Course:
        """Another course from round ``after`` of this one (its last), which is drawn beside it.

        It goes on to the round that this one was planned to, or, from there, for as many rounds again.

        Raises:
            SettingError: if there is no such round.
        """
        done = self.history.completed
        number = done[-1].number if after is None and done else after
        starts = [record for record in (self.after, *done) if record is not None and record.failed is None]
        base = next((r for r in starts if r.number == number and is_number(number, whole=True)), None)
        if base is None:
            there = f"rounds {done[0].number} to {done[-1].number}" if done else "no round"
            raise SettingError(
                f"A fork after round {number!r} was asked for.",
                f"This run completed {there}, and a fork starts from the model of one of them.",
                f"For example run.fork(after={done[0].number})." if done else "Train again, for at least a round.",
            )
        rest = Branch("the run it was forked from", History(r for r in self.records if r.number >= base.number))
        return Course(
            self.federation,
            self.strategy,
            num_rounds=num_rounds or self.num_rounds + (base.number if base.number >= self.num_rounds else 0),
            after=base,
            branches=(rest,),
        )
