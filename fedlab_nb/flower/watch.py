"""A run that goes on elsewhere, seen from a notebook: the same handle, dashboard and History, fed from Flower's log.

The run does not need the notebook: it may be left and taken up again, in another kernel or on another machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from fedlab_nb.course import HOUSE, Course
from fedlab_nb.errors import RoundError, SettingError
from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.deploy.console import check_control, run_number
from fedlab_nb.flower.deploy.settings import check_seconds
from fedlab_nb.flower.driving.changing import changeable
from fedlab_nb.flower.driving.run import WatchedRun, no_way_back
from fedlab_nb.flower.driving.wheel import Wheel
from fedlab_nb.flower.driving.worker import WatchedWorker
from fedlab_nb.flower.orders.owner import Introduction
from fedlab_nb.flower.sums.going_on import goes_on
from fedlab_nb.flower.survey.questions import Questions
from fedlab_nb.parties import Federation
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.columns.road import keep_alignment
from fedlab_nb.records import Round
from fedlab_nb.records.snapshot import Tone
from fedlab_nb.units import counted
from fedlab_nb.vertical import JointPrediction

if TYPE_CHECKING:
    from fedlab_nb.flower.predicting.watched import WatchedPrediction
    from fedlab_nb.flower.survey.watched import WatchedSurvey

UNKNOWN = (
    "Keys are passed on by the server, and {} had not noted the fingerprints of all others beforehand: whoever runs "
    "the server could have put in keys of its own, and read what is sealed with them."
)


class Runs(Protocol):
    """Who starts, stops and tells of runs: a ``Control`` of ``fl.flower``."""

    def run(self, app: Path, config: Mapping[str, Any] | None = None) -> int:
        """Start a run of an app; its number."""

    def log(self, run_id: int) -> Iterator[str]:
        """Its log from the beginning, line by line, to its end."""

    def stop(self, run_id: int) -> None:
        """End it."""


class WatchedFederation(Federation):
    """What a notebook knows of a federation elsewhere: its owners as they introduced themselves, and what crossed."""

    def __init__(self, agreement: Agreement, told: Sequence[Introduction]) -> None:
        house = agreement.house
        owners = [absent_owner(who.name, who.schema, who.held_out, who.budget, who.content) for who in told]
        settings = {name: getattr(house, name) for name in house.__dataclass_fields__}
        super().__init__(owners, **settings)
        self._accounts = {who.name: who.account for who in told}
        self.books = self.books.apart(self._accounts)

    def take(self, played: news.Played | news.Answered | news.Predicted) -> None:
        """Enter what crossed in a round or for an answer, and what each owner's data has given away by now."""
        self.ledger.enter(played.messages)
        self._accounts = {name: statement.account for name, statement in played.spent.items()}
        self.books = self.books.apart(self._accounts)

    def gather(self, *_: Any, **__: Any) -> NoReturn:
        """Nothing is asked from here.

        Raises:
            SettingError: always.
        """
        raise SettingError(
            "This federation is watched, not asked: its run goes on at a SuperLink.",
            "Owners answer the server of their agreement, and nobody else.",
            "Export another project for another question: fl.flower.export(...).",
        )

    hear = collect = gather


def meeting(agreement: Agreement, told: Iterator[Any]) -> news.Began:
    """The first that a run tells: that its parties have met.

    Raises:
        FedLabError: why they did not; SettingError: they had agreed on something else.
    """
    first = next(told, None)
    if isinstance(first, news.Began):
        if first.agreement != agreement.digest:
            raise SettingError(
                f"This run goes by the agreement {first.agreement[:12]}..., and the project that was given has "
                f"{agreement.digest[:12]}....",
                "Cards, settings and results are read by the project: of another run all of them would be untrue.",
                "Give the folder of the project that was run; its card shows its agreement. The run was not touched.",
            )
        return first
    error = first.error if isinstance(first, news.Ended) else None
    raise error or RoundError(
        "server",
        "beginning",
        "The run ended before its owners had met.",
        "Nothing was asked of anybody's rows, and there is nothing to be seen.",
        "Look at its log: control.log(number), with the number of the run.",
    )


class WatchedCourse(Course):
    """The rounds of a run elsewhere, as its log tells them."""

    def __init__(self, agreement: Agreement, stream: Iterator[Any]) -> None:
        self.driven = agreement.driven
        first = meeting(agreement, stream)
        self._news, self.left = stream, False
        self._context: object = None
        self.unknown = {name: those for name, those in first.unknown.items() if those}
        federation = WatchedFederation(agreement, first.introductions)
        super().__init__(federation, agreement.strategy, num_rounds=agreement.num_rounds, seed=agreement.seed)

    @property
    def settings(self) -> dict[str, float]:
        """What a notebook at the wheel may change, as far as it is known here; nothing where none has it."""
        return changeable(super().settings, self.federation) if self.driven else {}

    @property
    def goes_on(self) -> bool:
        """Whether rounds follow the last one although it failed, as a party was lost in it."""
        return goes_on(self.federation.house, self.records, self.num_rounds)

    def news(self, record: Round) -> list[tuple[str, Tone]]:
        """As ``Course.news``; and that the run goes on after a round that failed."""
        said = super().news(record)
        if record.failed is not None and self.goes_on:
            said.append((f"Round {record.number} failed and the run goes on: {record.failed}", "warning"))
        return said

    def _from(self, after: Round | None) -> Iterator[Round]:
        if after is not None:
            raise no_way_back()
        return self._told()

    def _follow(self, record: Round) -> None:
        """Take up settings that were changed at the server, by this notebook or another."""
        now, told = self.settings, record.settings
        new = {name: told[name] for name in now if name in told and told[name] != now[name]}
        mine = {name: value for name, value in new.items() if name not in HOUSE}
        if mine:
            self.strategy = replace(self.strategy, **mine)  # type: ignore[type-var]
        others = {name: value for name, value in new.items() if name in HOUSE}
        self.federation.house = self.federation.house.adjusted(others)

    def _told(self) -> Iterator[Round]:
        ended = False
        for item in self._news:
            if isinstance(item, news.Played) and isinstance(self.federation, WatchedFederation):
                self.federation.take(item)
                self._context = item.context or self._context
                state = replace(item.record.state, context=self._context)
                self._follow(item.record)
                yield replace(item.record, state=state)
            elif isinstance(item, news.Linked):
                keep_alignment(self.federation, item.alignment)
            elif isinstance(item, news.Ended):
                known = bool(self.records) and self.records[-1].failed is not None and not self.goes_on
                if item.error is not None and not known:
                    raise item.error
                ended = True
        if not ended and not self.left:
            raise RoundError(
                "server",
                "ending",
                f"The run ended after {counted(len(self.records), 'round')} of {self.num_rounds} without a word.",
                "Its process at the SuperLink was ended from outside: somebody stopped it, or it ran out of memory.",
                "The rounds so far are kept; control.status(run.number) says what Flower knows of its end.",
            )


def run(project: str | Path, control: Runs, **config: float | str) -> WatchedRun | WatchedSurvey | WatchedPrediction:
    """Start the project in a folder at a SuperLink, and watch it: returns once all its parties have met.

    A training is watched as a run, questions as a survey, whose ``wait()`` gives the answers, a joint prediction until
    the owner of the labels has it: its ``wait()`` gives the number of rows. All are followed beside the notebook or
    script; a script that ends before ``wait()`` returns leaves the run, which goes on.

    ``config``: ``wait``, for how many seconds parties may come, and ``patience``, for how many each may take to answer.

    Raises:
        SettingError: what Flower refuses, or a party that did not accept the agreement.
    """
    agreement = agreement_of(project)  # owners may debit a run as soon as it begins: what cannot be watched does not
    check_control(control)
    check_seconds(config)
    number = control.run(Path(project), dict(config))
    try:
        return _watched(agreement, control, number)
    except BaseException as error:
        error.add_note(
            f"This was run {number}, and it may be going on: control.status({number}) says so, "
            f"fl.flower.attach(project, control, {number}) watches it, control.stop({number}) ends it."
        )
        raise


def attach(project: str | Path, control: Runs, number: int) -> WatchedRun | WatchedSurvey | WatchedPrediction:
    """Watch the run with this number, from its first round or answer on; it may be going on or over.

    If its parties agreed that a notebook drives it, this one takes the wheel: its SuperNode must be on this machine.

    Raises:
        SettingError: there is no such run or project.
    """
    agreement = agreement_of(project)
    check_control(control)
    run_number(number)
    return _watched(agreement, control, number)


def _watched(agreement: Agreement, control: Runs, number: int) -> WatchedRun | WatchedSurvey | WatchedPrediction:
    lines: Iterable[str] = control.log(number)
    if isinstance(agreement.strategy, Questions):
        from fedlab_nb.flower.survey.watched import WatchedSurvey

        return WatchedSurvey(agreement, news.read(lines, agreement.allowed), control, number)
    if isinstance(agreement.strategy, JointPrediction):
        from fedlab_nb.flower.predicting.watched import WatchedPrediction

        return WatchedPrediction(agreement, news.read(lines, agreement.allowed), control, number)
    wheel = Wheel(agreement.digest, number) if agreement.driven else None
    try:
        course = WatchedCourse(agreement, news.read(lines, agreement.allowed))
        worker = WatchedWorker(course, wheel, number)
    except BaseException:
        if wheel is not None:
            wheel.close()
        raise
    watched = WatchedRun(worker, control)
    if course.unknown:
        worker.say(UNKNOWN.format(", ".join(course.unknown)), "warning")
    return watched.begin()


def agreement_of(project: str | Path) -> Agreement:
    """What the parties of the project in a folder agreed on."""
    from fedlab_nb.flower.agreement import FILE

    if not isinstance(project, str | Path):
        raise SettingError(
            f"The folder of a project was given as {project!r}.",
            "The agreement in it says who takes part in what.",
            'Name the folder that fl.flower.export wrote, such as "clinics".',
        )
    found = sorted(Path(project).glob(f"*/{FILE}"))
    if len(found) != 1:
        raise SettingError(
            f"The folder {Path(project).name!r} holds {len(found)} agreements, and a project has one.",
            "It says who takes part in what.",
            "Name the folder that fl.flower.export wrote.",
        )
    return Agreement.read(found[0].parent)
