"""A run that goes on elsewhere, seen from a notebook: the same handle, dashboard and History, fed from Flower's log.

The run does not need the notebook: it may be left and taken up again, in another kernel or on another machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, Protocol

from fedlab_nb.course import Course
from fedlab_nb.errors import FedLabError, RoundError, SettingError
from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.orders.owner import Introduction
from fedlab_nb.handle import Run, start
from fedlab_nb.parties import Federation
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.privacy import Account
from fedlab_nb.records import Round
from fedlab_nb.units import counted
from fedlab_nb.worker import Worker

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

    def take(self, played: news.Played) -> None:
        """Enter what crossed in a round, and what each owner's data has given away by now."""
        self.ledger.enter(played.messages)
        for name, spent in played.spent.items():
            before = self._accounts[name]
            account = Account(before.meter if before.opened else None, before.set_aside)
            for event, share, times in spent:
                account.add(event, share, times)
            self._accounts[name] = account
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


class WatchedCourse(Course):
    """The rounds of a run elsewhere, as its log tells them."""

    def __init__(self, agreement: Agreement, stream: Iterator[Any]) -> None:
        first = next(stream, None)
        if not isinstance(first, news.Began):
            error = first.error if isinstance(first, news.Ended) else None
            raise error or RoundError(
                "server",
                "beginning",
                "The run ended before its owners had met.",
                "There is no round to be seen.",
                "Look at its log: control.log(run.number).",
            )
        self._news, self.left = stream, False
        self._context: object = None
        self.unknown = {name: those for name, those in first.unknown.items() if those}
        federation = WatchedFederation(agreement, first.introductions)
        super().__init__(federation, agreement.strategy, num_rounds=agreement.num_rounds, seed=agreement.seed)

    @property
    def settings(self) -> dict[str, float]:
        """Nothing can be changed from here."""
        return {}

    def _from(self, after: Round | None) -> Iterator[Round]:
        if after is not None:
            raise _only_watched("go another way from one of its rounds")
        return self._told()

    def _told(self) -> Iterator[Round]:
        ended = False
        for item in self._news:
            if isinstance(item, news.Played) and isinstance(self.federation, WatchedFederation):
                self.federation.take(item)
                self._context = item.context or self._context
                state = replace(item.record.state, context=self._context)
                yield replace(item.record, state=state)
            elif isinstance(item, news.Ended):
                if item.error is not None and not (self.records and self.records[-1].failed is not None):
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


class WatchedRun(Run):
    """A run at a SuperLink. ``number`` is Flower's number for it; ``stop()`` ends it, ``leave()`` only the watching.

    What needs an answer from the run itself (pause, step, change, rewind) cannot be done from here: Flower has no way
    to it. Stop it, and export another.
    """

    def __init__(self, worker: Worker, control: Runs, number: int) -> None:
        super().__init__(worker)
        self.control, self.number = control, number

    @property
    def federation(self) -> Federation:
        """What is known here of the federation: its owners as they introduced themselves, its ledger, its accounts."""
        return self._worker.federation

    def stop(self) -> None:
        """End the run at the SuperLink; the rounds that came are kept."""
        self._leave()
        self.control.stop(self.number)

    def leave(self) -> None:
        """Stop watching: the run goes on. ``fl.flower.attach(project, control, run.number)`` takes it up again."""
        self._leave()

    def _leave(self) -> None:
        if isinstance(course := self._worker.course, WatchedCourse):
            course.left = True
        super().stop()

    def pause(self) -> None:
        """Not from here.

        Raises:
            SettingError: always; so do ``resume``, ``step``, ``change`` and ``rewind``.
        """
        raise _only_watched("be held or changed")

    def resume(self) -> None:
        """As ``pause``."""
        self.pause()

    def step(self) -> None:
        """As ``pause``."""
        self.pause()

    def change(self, **settings: float) -> None:  # noqa: ARG002 - whatever they are
        """As ``pause``."""
        self.pause()

    def rewind(self, to: int) -> None:  # noqa: ARG002 - whatever it is
        """As ``pause``."""
        self.pause()


def run(project: str | Path, control: Runs, **config: float) -> WatchedRun:
    """Start the project in a folder at a SuperLink, and watch it: returns once all its parties have met.

    ``config``: ``wait``, for how many seconds parties may come, and ``patience``, for how many each may take to answer.

    Raises:
        SettingError: what Flower refuses, or a party that did not accept the agreement.
    """
    number = control.run(Path(project), dict(config))
    return attach(project, control, number)


def attach(project: str | Path, control: Runs, number: int) -> WatchedRun:
    """Watch the run with this number, from its first round on; it may be going on or over.

    Raises:
        SettingError: there is no such run or project.
    """
    agreement = agreement_of(project)
    lines: Iterable[str] = control.log(number)
    worker = Worker(WatchedCourse(agreement, news.read(lines, agreement.allowed)))
    watched = WatchedRun(worker, control, number)
    if worker.course.unknown:  # type: ignore[attr-defined]
        worker.say(UNKNOWN.format(", ".join(worker.course.unknown)), "warning")  # type: ignore[attr-defined]
    start(worker, watched)
    return watched


def agreement_of(project: str | Path) -> Agreement:
    """What the parties of the project in a folder agreed on."""
    from fedlab_nb.flower.agreement import FILE

    found = sorted(Path(project).glob(f"*/{FILE}"))
    if len(found) != 1:
        raise SettingError(
            f"The folder {Path(project).name!r} holds {len(found)} agreements, and a project has one.",
            "It says who takes part in what.",
            "Name the folder that fl.flower.export wrote.",
        )
    return Agreement.read(found[0].parent)


def _only_watched(what: str) -> FedLabError:
    return SettingError(
        f"A run at a SuperLink cannot {what} from here.",
        "Flower has no way from a notebook to a run that goes on; it only tells of it, and ends it.",
        "Stop it with run.stop(), and export a project with other settings.",
    )
