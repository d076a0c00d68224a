"""The server's end: it asks the notebook what it wishes while rounds go on, and does it between two of them.

One question is with the notebook at any time, and comes back when there is a wish. So a wish that is pressed a trip
(three to six seconds) before the end of a round takes effect at its end, and rounds wait for no answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from fedlab_nb.course import Course
from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.client import KIND, body_of, packed
from fedlab_nb.flower.driving.changing import check_changeable
from fedlab_nb.flower.driving.words import WISHES, Question, Wish
from fedlab_nb.flower.sums.going_on import FarCourse
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round
from fedlab_nb.rounds import Strategy
from fedlab_nb.units import setting_words

# How often it looks for an answer, in seconds; and after how long a question counts as lost. Of a node that is gone
# Flower tells sooner; one that serves other runs besides may be slow.
LOOK, LOST = 1.0, 600.0
LONGEST_WORDS = 2000
# How often the parties of a run that is held hear from the server, in seconds: their processes end when left alone.
GREET = 240.0


class Line:
    """How a question gets to the notebook's node, and its answer back."""

    def __init__(self, grid: Any, node: int) -> None:
        self._grid, self._node = grid, node

    def push(self, data: bytes) -> str:
        """Send a question; its number."""
        from flwr.app import Message

        (number,) = self._grid.push_messages([Message(packed(data), self._node, f"query.{KIND}", group_id="wheel")])
        return str(number)

    def pull(self, number: str) -> bytes | None:
        """The answer to the question with this number; None if it has not come, empty where there will be none."""
        for reply in self._grid.pull_messages([number]):
            if reply.metadata.reply_to_message_id == number:
                return b"" if reply.has_error() else _body(reply)
        return None


def _body(reply: Any) -> bytes:
    try:
        return body_of(reply)
    except Exception:  # noqa: BLE001 - whatever a node sends
        return b"nothing that can be read"


class Asking:
    """What the notebook wishes of a run, as far as the server knows; ``say`` tells what is done of it.

    While the run is held, ``greet`` is called now and then, so that no party takes it for over.
    """

    def __init__(self, line: Line, agreement: str, say: Callable[[str], None]) -> None:
        self._line, self._agreement, self._say = line, agreement, say
        self._wish = Wish()
        self._open, self._asked, self._looked = "", 0.0, 0.0
        self._wheel, self._taken, self._stepped = "", 0, 0
        self._changes: dict[str, float] = {}
        self._after, self._absent, self._refused = 0, False, ""
        self._held = False
        self.greet: Callable[[], object] = lambda: None

    def rounds(self, federation: Federation, strategy: Strategy, *, num_rounds: int, seed: int) -> Iterator[Round]:
        """As ``rounds``, held, changed and ended as the notebook wishes."""
        course = FarCourse(federation, strategy, num_rounds=num_rounds, seed=seed)
        self._ask()
        while (record := course.next()) is not None:
            course.keep(record)
            del course.records[:-1]  # the server's process is not to grow by a model a round
            yield record
            if record.failed is None and record.number < course.num_rounds and not self._goes_on(course):
                return

    def look(self) -> None:
        """While parties are waited for, in a round or between two: take an answer that has come, and ask again."""
        if time.monotonic() - self._looked >= LOOK:
            self._collect()
            if not self._absent:  # where no notebook listens, once a round is enough
                self._ask()

    def _goes_on(self, course: Course) -> bool:
        """Between two rounds: hold and change the run as is wished; False to end it."""
        self._after, greeted = course.records[-1].number, 0.0
        self._collect()
        while True:
            self._change(course)
            wish = self._wish
            if wish.stop:
                self._say(f"Ended after round {self._after}, as the notebook wished.")
                return False
            if not wish.hold or wish.step > self._stepped:
                break
            if not self._held:
                self._say(f"Held after round {self._after}, as the notebook wished.")
                self._held, greeted = True, time.monotonic()
            self._ask()
            time.sleep(LOOK / 2)
            if time.monotonic() - greeted >= GREET:
                self.greet()
                greeted = time.monotonic()
            self._collect()
        self._stepped = max(self._stepped, wish.step)
        if self._held:
            self._say(f"Going on with round {self._after + 1}.")
        self._held = False
        self._ask()
        return True

    def _ask(self) -> None:
        if not self._open:
            about = Question(self._agreement, self._after, self._held, self._wheel, self._taken, self._refused)
            self._open, self._asked = self._line.push(WISHES + about.data), time.monotonic()

    def _collect(self) -> None:
        self._looked = time.monotonic()
        if not self._open:
            return
        came = self._line.pull(self._open)
        if came is None and self._looked - self._asked < LOST:
            return
        self._open, self._refused, wish = "", "", Wish()
        try:
            wish = Wish.read(came) if came else wish
        except (ValueError, OverflowError):
            self._say("What came from the notebook's node is no wish: it is left out.")
        self._take(wish)

    def _take(self, wish: Wish) -> None:
        self._absent = not wish.wheel
        if self._absent and self._wish.hold:
            self._say("The notebook that held the run is gone: the run goes on.")
        if wish.wheel and wish.wheel != self._wheel:
            self._wheel, self._taken, self._stepped = wish.wheel, 0, 0
        if wish.wheel and wish.serial > self._taken:  # what is heard twice is done once
            self._taken = wish.serial
            self._changes |= wish.change
        self._wish = wish

    def _change(self, course: Course) -> None:
        """Other settings from the next round on, all of them or none."""
        wished, self._changes = self._changes, {}
        now = course.settings
        changes = {name: value for name, value in wished.items() if now.get(name) != value}
        if not changes:
            return
        try:
            check_changeable(changes, course.federation)
            course.change(changes)
        except FedLabError as error:
            self._refused = f"A change was refused: {error}"[:LONGEST_WORDS]
            self._say(self._refused)
        else:
            self._say("From the next round on: " + ", ".join(setting_words(n, v) for n, v in changes.items()) + ".")
