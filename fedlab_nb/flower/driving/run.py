"""The handle of a run elsewhere: what a person may do with it from here, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.driving.worker import WatchedWorker
from fedlab_nb.handle import Run
from fedlab_nb.parties import Federation
from fedlab_nb.parties.columns.fitting import is_vertical
from fedlab_nb.records import History

if TYPE_CHECKING:
    from fedlab_nb.flower.watch import Runs

_APART = (
    " Sites may have kept parts of the model that are a round apart: no prediction takes such parts, and only another "
    "training helps."
)


class WatchedRun(Run):
    """A run at a SuperLink. ``number`` is Flower's number for it; ``stop()`` ends it, ``leave()`` only the watching.

    Where the parties agreed on it (``driven=True``), ``pause()``, ``resume()``, ``step()``, ``change(lr=0.05)`` and
    ``stop()`` are wishes, which the server hears while a round goes on and does at its end: one that is not there by
    then, some seconds after it was pressed, a round later. A run that is held goes on when this kernel ends or leaves.
    """

    def __init__(self, worker: WatchedWorker, control: Runs) -> None:
        super().__init__(worker)
        self._pressed, self.control, self.number = worker, control, worker.number

    def begin(self) -> Self:
        """Follow its rounds beside the notebook or script: it goes on whether somebody waits here or not."""
        self._eyes.start(beside=True)
        return self

    @property
    def federation(self) -> Federation:
        """What is known here of the federation: its owners as they introduced themselves, its ledger, its accounts."""
        return self._worker.federation

    def wait(self) -> History:
        """Wait for the end of the run, keep drawing, and give all rounds.

        Interrupting ends the watching and gives what there is: the run goes on, and its owners pay for its rounds.
        ``stop()`` ends it, ``fl.flower.attach(project, control, run.number)`` takes it up again.

        Raises:
            FedLabError: why the run failed, if it did; ``history`` keeps the rounds before that.
            SettingError: if the run is held from here: no button works while a cell waits like this.
        """
        return super().wait()

    def stop(self, *, now: bool = False) -> None:
        """End the run after the round that is going on, if it hears wishes; else, or ``now``, at the SuperLink at once.

        The rounds that came are kept. At once, owners of different columns may be left with parts of the model that are
        a round apart, and those predict nothing together.
        """
        if self._pressed.wheel is not None and not now:
            self._pressed.stop_well()
        else:
            words = f"The SuperLink was asked to end run {self.number}; the rounds that came are kept."
            self._pressed.leave(words + _APART * is_vertical(self.federation.schema))
            self.control.stop(self.number)

    def leave(self) -> None:
        """Stop watching: the run goes on. ``fl.flower.attach(project, control, run.number)`` takes it up again."""
        self._pressed.leave()

    def step(self) -> None:
        """While paused: one more round.

        Raises:
            SettingError: the run is only watched; so do ``pause``, ``resume`` and ``change``.
        """
        self._pressed.step()

    def rewind(self, to: int) -> None:  # noqa: ARG002 - whatever it is
        """Not in a run elsewhere.

        Raises:
            SettingError: always.
        """
        raise no_way_back()

    def fork(self, *_: Any, **__: Any) -> NoReturn:
        """Not from a run elsewhere.

        Raises:
            SettingError: always.
        """
        raise SettingError(
            "A fork of a run at a SuperLink was asked for.",
            "Its owners answer the server of their agreement, round after round, and take no other course with it.",
            "Export another project with other settings, and run that one: fl.flower.export(...).",
        )


def no_way_back() -> SettingError:
    """Why no round of a run elsewhere is played again."""
    return SettingError(
        "Going back to an earlier round of a run at a SuperLink was asked for.",
        "Its owners have helped to sum that round already, and keep what is their own for the newest rounds only.",
        "Where this run can be changed, run.change(lr=0.05) is for rounds to come; or stop it and run another project.",
    )
