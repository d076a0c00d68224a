"""train(): the loop tied to the eyes. The one place where both meet."""

from __future__ import annotations

import warnings
from pathlib import Path

from fedlab_nb.checkpoint import Checkpoint, check_paid
from fedlab_nb.course import Course
from fedlab_nb.handle import Run, start
from fedlab_nb.parties import Federation
from fedlab_nb.parties.rules import is_number, is_seed
from fedlab_nb.records import Round
from fedlab_nb.rounds import Strategy
from fedlab_nb.worker import Worker


def train(
    federation: Federation,
    strategy: Strategy,
    *,
    num_rounds: int = 10,
    seed: int = 0,
    after: Round | None = None,
    checkpoint: str | Path | None = None,
) -> Run:
    """Train for rounds 1 to ``num_rounds`` and watch: returns at once in a notebook, at the end in a script.

    ``after=run.history[-1]`` goes on with an earlier run. What cannot work is refused here, before anything leaves.

    With ``checkpoint="runs/first"`` every round is kept in that folder before the next one begins. The same call goes
    on after the last round that is there, also in a new kernel and after the old one was killed, and ends with the bits
    of a run that was never interrupted; of a run that has ended, it gives the result. A round that was being computed
    is computed again: what it had released under a privacy budget comes from the vault, and what had not been kept
    there yet is paid for again. The folder of another run is refused. ``fl.History.load("runs/first")`` reads the
    rounds, to look at or to branch off from: ``fl.train(federation, other, after=fl.History.load("runs/first")[4])``.

    Raises:
        SettingError, RuleError, BudgetExceededError: what cannot work, or a federation that is training already.
    """
    kept = None
    if isinstance(federation, Federation):  # what else is wrong is refused below, as it is without a checkpoint
        check_paid(after, federation)
        if checkpoint is not None and is_number(num_rounds, whole=True) and is_seed(seed):
            kept = Checkpoint(checkpoint, federation, strategy, num_rounds=num_rounds, seed=seed, after=after)
    worker = Worker(Course(federation, strategy, num_rounds=num_rounds, seed=seed, after=after, checkpoint=kept))
    if kept is not None:
        _take_up(worker, kept)
    return start(worker)


def _take_up(worker: Worker, kept: Checkpoint) -> None:
    """Go on under the settings that were in force, from the rounds that are there; say so."""
    try:
        if kept.rounds:
            worker.course.resume_settings(kept.rounds[-1].settings, {})
            worker.refresh()
        kept.claim()
    except BaseException:
        worker.abandon()
        raise
    for note in kept.notes:
        worker.say(note)
    if kept.left_out:
        warnings.warn(kept.left_out, stacklevel=3)
