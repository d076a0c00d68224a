"""What rides along: the steps of one thing that is worked out travel with the trips that are made for another.

A trip costs seconds, whatever it carries. Each rider goes on in a thread of its own, but never at the same time as
anything else here: it runs until it wants something of a party, and then whoever makes the next trip brings that too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, Protocol, TypeVar

from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.flower.orders.arrived import SILENT

T = TypeVar("T")
Brought = tuple[list[Any], dict[str, FedLabError]]


class Wanted(Protocol):
    """Something at a party."""

    party_: str


class Rider(Generic[T]):
    """``work``, which goes on whenever what it ``wants`` has been brought; ``ended`` once it has come to its end."""

    def __init__(self, work: Callable[[], T], riders: Riders) -> None:
        self.wants: list[Any] = []
        self.ended = False
        self._work, self._riders = work, riders
        self._value: T | None = None
        self._error: BaseException | None = None
        self._came: Brought = [], {}
        self._over: RoundError | None = None
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self.thread = threading.Thread(target=self._run, name="rider", daemon=True)

    def start(self) -> None:
        """Begin, as far as to what it wants first."""
        with self._riders.elsewhere():
            self.thread.start()
            self._back.acquire()

    def give(self, came: Brought) -> None:
        """Go on with what came, as far as to what it wants next."""
        self._came, self.wants = came, []
        with self._riders.elsewhere():
            self._turn.release()
            self._back.acquire()

    def ask(self, wants: Sequence[Any]) -> Brought:
        """In its own thread: wait until these have been brought."""
        if self._over is None:
            self.wants = [*wants]
            with self._riders.elsewhere():
                self._back.release()
                self._turn.acquire()
        if self._over is not None:
            raise self._over
        return self._came

    def give_up(self) -> None:
        """No trip is made any more: it ends with an error."""
        self._over = _given_up()
        self.give(([], {}))

    def result(self) -> T:
        """What it came to, or its error; the trips that are still missing are made now."""
        self._riders.finish(self)
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def _run(self) -> None:
        try:
            self._value = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised to whoever asks for the result
            self._error = error
        self.ended = True
        self._back.release()


class Riders:
    """All that ride along with the trips that ``trip`` makes, which brings what is wanted, and what was lost.

    ``elsewhere`` is entered by who waits while another goes on: the seconds are the other's.
    """

    def __init__(self, trip: Callable[[Sequence[Any]], Brought]) -> None:
        self._trip = trip
        self.elsewhere: Callable[[], AbstractContextManager[None]] = nullcontext
        self._aboard: list[Rider[Any]] = []

    def begin(self, work: Callable[[], T]) -> Rider[T]:
        """Begin ``work``, which rides along from now on."""
        rider = Rider(work, self)
        self._aboard.append(rider)
        rider.start()
        return rider

    def bring(self, wants: Sequence[Any]) -> Brought:
        """The values of these, None from a party that failed, and why it did; riders go on with what came for them."""
        mine = next((rider for rider in self._aboard if rider.thread is threading.current_thread()), None)
        if mine is not None and wants:
            return mine.ask(wants)
        return self._carry(wants) if wants else ([], {})

    def finish(self, rider: Rider[Any]) -> None:
        """Make trips until this one has come to its end."""
        while not rider.ended:
            self._carry([])

    def give_up(self) -> None:
        """No trip is made any more: whoever rides along ends."""
        for rider in self._aboard:
            if rider.thread.is_alive() and not rider.ended:
                rider.give_up()
        self._aboard = []

    def _carry(self, wants: Sequence[Any]) -> Brought:
        self._aboard = [rider for rider in self._aboard if not rider.ended]
        each: list[tuple[Rider[Any] | None, Sequence[Any]]] = [(None, wants)]
        each += [(rider, rider.wants) for rider in self._aboard]
        values, errors = self._trip([one for _, those in each for one in those])
        came, found = iter(values), dict[Rider[Any] | None, Brought]()
        for who, those in each:
            about = {one.party_ for one in those}
            found[who] = [next(came) for _ in those], {name: e for name, e in errors.items() if name in about}
        for who, those in each[1:]:
            if who is not None:
                who.give(self._once_more(those, found[who]) if found[who][1] else found[who])
        return found[None]

    def _once_more(self, wants: Sequence[Any], came: Brought) -> Brought:
        """What a party may have all the same: it carries out orders in turn, and those of riders come first.

        So a step that failed was another's, unless what is wanted is not there either. Who was silent is not waited for
        once more.
        """
        values, errors = came
        answered = {name for name, error in errors.items() if getattr(error, "stage", "") != SILENT}
        again, still = self._trip([one for one in wants if one.party_ in answered]) if answered else ([], {})
        late = iter(again)
        values = [next(late) if one.party_ in answered else value for one, value in zip(wants, values, strict=True)]
        return values, {name: e for name, e in errors.items() if name not in answered or name in still}


def _given_up() -> RoundError:
    return RoundError(
        "server",
        "score",
        "The run ended while a round was being scored.",
        "What owners had sent of it was not opened.",
        "Look at why the run ended; the rounds before that are kept.",
    )
