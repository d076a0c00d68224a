"""train(): the loop tied to the eyes. The one place where both meet."""

from __future__ import annotations

from fedlab_nb.course import Course
from fedlab_nb.handle import Run, start
from fedlab_nb.parties import Federation
from fedlab_nb.records import Round
from fedlab_nb.rounds import Strategy
from fedlab_nb.worker import Worker


def train(
    federation: Federation, strategy: Strategy, *, num_rounds: int = 10, seed: int = 0, after: Round | None = None
) -> Run:
    """Train for rounds 1 to ``num_rounds`` and watch: returns at once in a notebook, at the end in a script.

    ``after=run.history[-1]`` goes on with an earlier run. What cannot work is refused here, before anything leaves.

    Raises:
        SettingError, RuleError, BudgetExceededError: what cannot work, or a federation that is training already.
    """
    return start(Worker(Course(federation, strategy, num_rounds=num_rounds, seed=seed, after=after)))
