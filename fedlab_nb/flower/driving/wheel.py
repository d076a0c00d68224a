"""The notebook's end: a thread of its kernel that keeps the server's question until there is a wish, and answers it."""

from __future__ import annotations

import os
import secrets
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener

from fedlab_nb.errors import DeploymentError
from fedlab_nb.flower.driving.node import place_of, reached
from fedlab_nb.flower.driving.words import HOLD, LET_GO, TAKE, WISHES, Question, Wish
from fedlab_nb.flower.party.place import Place

# How long the notebook that has the wheel may take to hand it over, in seconds.
_PATIENCE = 10.0


class Wheel:
    """The wheel of one run: what is wished is answered as soon as the server asks, from any thread.

    The newest notebook has it: another of this user that had it hands it over, with all that it wished. ``hear`` is
    called with every question, ``lost`` once another notebook has taken it.

    Raises:
        DeploymentError: the notebook that has it does not answer.
    """

    def __init__(self, agreement: str, run: int) -> None:
        self._place = place_of(agreement, str(run))
        self._changed = threading.Condition()
        self.wish = _taken_over(self._place) or Wish(wheel=secrets.token_hex(8))
        self.closed, self._given_away, self._number, self._at_hand = False, False, 0, 0
        self.hear: Callable[[Question], None] = lambda _: None
        self.lost: Callable[[], None] = lambda: None
        self._place.make()
        self._listener = Listener(self._place.address, authkey=self._place.key.read_bytes())
        self._thread = threading.Thread(target=self._listen, name="fedlab-wheel", daemon=True)
        self._thread.start()
        # A kernel that ends leaves nothing behind.
        self._cleared = weakref.finalize(self, _clear, os.getpid(), self._place)

    @property
    def asked(self) -> bool:
        """Whether the server's question is here, so that a wish is on its way at once."""
        return self._at_hand > 0

    def hold(self) -> None:
        """Wish that no further round is played."""
        self._new(hold=True, step=0)

    def go(self) -> None:
        """Wish that rounds are played."""
        self._new(hold=False, step=0)

    def step(self) -> None:
        """While held: wish for one more round."""
        with self._changed:
            self._new(step=self.wish.serial + 1 if self.wish.hold else 0)

    def stop(self) -> None:
        """Wish for the end after the round that is going on."""
        self._new(stop=True)

    def change(self, settings: Mapping[str, float]) -> None:
        """Wish for other settings from the next round on."""
        with self._changed:
            self._new(change={**self.wish.change, **settings})

    def close(self) -> None:
        """Let go of the wheel: a question that is here is answered as if no notebook listened."""
        with self._changed:
            if self.closed:
                return
            self.closed = True
            self._changed.notify_all()
        if (line := reached(self._place)) is not None:  # it wakes the thread that waits for the next one
            with line, suppress(OSError):
                line.send_bytes(LET_GO)
        # It removes its end of the line as it ends: not after another notebook has made one there.
        self._thread.join(_PATIENCE)
        self._cleared()

    def _new(self, **facts: object) -> None:
        with self._changed:
            self.wish = replace(self.wish, serial=self.wish.serial + 1, **facts)  # type: ignore[arg-type]
            self._changed.notify_all()

    def _listen(self) -> None:
        with self._listener:
            while not self.closed:
                with suppress(EOFError, OSError, AuthenticationError):
                    connection = self._listener.accept()
                    threading.Thread(target=self._served, args=(connection,), daemon=True).start()

    def _served(self, connection: Connection) -> None:
        with connection, suppress(EOFError, OSError, ValueError):
            data = connection.recv_bytes()
            if data[:1] == TAKE:
                self._hand_over(connection)
            elif data[:1] == WISHES:
                question = Question.read(data[1:])
                self._hear(question)
                connection.send_bytes(self._answer(question).data)

    def _hear(self, question: Question) -> None:
        with self._changed:
            mine = question.wheel == self.wish.wheel
            if mine and question.taken >= self.wish.serial and self.wish.change:
                self.wish = replace(self.wish, change={})  # it was heard, and is not wished again with the next wish
        self.hear(question)

    def _answer(self, question: Question) -> Wish:
        """What is wished: at once if it is new to the server, else as soon as there is something, or after a while."""
        known = question.taken if question.wheel == self.wish.wheel else 0
        with self._changed:
            self._number += 1
            mine, self._at_hand = self._number, self._at_hand + 1
            self._changed.notify_all()  # an older question gives way: the server no longer waits for its answer
            self._changed.wait_for(lambda: self.closed or self._number > mine or self.wish.serial > known, HOLD)
            self._at_hand -= 1
            return self.wish if self._given_away or not self.closed else Wish()

    def _hand_over(self, connection: Connection) -> None:
        self._given_away = True
        self.close()
        connection.send_bytes(self.wish.data)
        self.lost()


def _clear(process: int, place: Place) -> None:
    if os.getpid() == process:  # and not a copy of it (fork) that ends
        place.clear()


def _taken_over(place: Place) -> Wish | None:
    """What the notebook wished that had the wheel; None if none had it."""
    connection = reached(place)
    if connection is None:
        return None
    with connection, suppress(EOFError, OSError, ValueError):
        connection.send_bytes(TAKE)
        if connection.poll(_PATIENCE):
            return Wish.read(connection.recv_bytes())
        raise DeploymentError(
            "Another notebook of this user drives this run, and does not answer.",
            "Two notebooks at one wheel would wish for different things.",
            "End the kernel of the other one, then attach again.",
        )
    return None
