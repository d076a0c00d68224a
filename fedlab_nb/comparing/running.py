"""compare(): several strategies or settings, run side by side or there already; one chart and one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from fedlab_nb.comparing.comparison import Comparison, Lane
from fedlab_nb.comparing.lanes import check_target, entries, histories, seeds_of
from fedlab_nb.comparing.laps import Laps
from fedlab_nb.errors import SettingError
from fedlab_nb.handle import Run
from fedlab_nb.parties import Federation
from fedlab_nb.records import History
from fedlab_nb.rounds import Strategy
from fedlab_nb.scene import headline
from fedlab_nb.units import listed

if TYPE_CHECKING:
    import pandas as pd

Source = Federation | Callable[[int], Federation]
Runs = Run | History | Sequence[Run | History]

SEEDS = 3
ROUNDS = 10


def compare(
    of: Source | Mapping[str, Source] | Mapping[str, Runs],
    strategies: Strategy | Mapping[str, Strategy] | None = None,
    *,
    num_rounds: int = ROUNDS,
    seeds: int | Sequence[int] = SEEDS,
    target: float | None = None,
    metric: str | None = None,
    alone: bool = False,
    pooled: pd.DataFrame | None = None,
) -> Comparison:
    """Several strategies or settings in one chart and one table, with intervals over seeds.

    Three forms. Several strategies over one federation: ``fl.compare(federation, {"FedAvg": ..., "SCAFFOLD": ...})``.
    One strategy over several: ``fl.compare({"all": federation, "half drop out": other}, strategy)``. Runs that are
    there: ``fl.compare({"lr 0.1": run, "lr 1": other})``, for each a run, a history, or a list of these.

    In the first two, each is run once for every one of ``seeds`` (3 stands for 0, 1 and 2), over the same owners with
    a ledger of its own. A function of the seed in place of a federation makes the owners anew for each:
    ``lambda seed: fl.Federation(fl.split_rows(table, skew=0.5, seed=seed))``; then the interval also tells the luck
    of how rows are dealt out. The cell waits; interrupted, it gives what has ended.

    ``target`` is a score: the table tells in which round it was first reached. ``metric`` is the score to compare by:
    accuracy, or RMSE where a number is predicted, if left out.

    ``alone=True`` adds owners that each train on their own rows only: the mean of their models' scores on all held-out
    rows. ``pooled=table`` adds one model trained on all rows in one place, which only a table that may be looked at
    can be: the one that the owners were made of. Both train the model of the first line, at its pace, for as many
    passes.

    Every run under a privacy mechanism is paid for, as any other: what all of them will cost is said before the first,
    and refused where it does not fit. Budgets are not given back. A rehearsal (``noise_seed=``) costs nothing.

    Raises:
        SettingError, RuleError, SchemaError, BudgetExceededError: what cannot work, before anything leaves.

    >>> import fedlab_nb as fl
    >>> owners = fl.split_rows(fl.data.breast_cancer(), owners=3)
    >>> both = {"once": fl.FedAvg(fl.models.logistic(), local_epochs=1), "twice": fl.FedAvg(fl.models.logistic())}
    >>> found = fl.compare(fl.Federation(owners), both, num_rounds=2, seeds=1, target=0.9)  # doctest: +ELLIPSIS
    once, ...
    >>> list(found.frame().index)
    ['once', 'twice']
    """
    check_target(target)
    if strategies is None:
        _check_plain(alone=alone, pooled=pooled, num_rounds=num_rounds, seeds=seeds)
        return _of_runs(histories(of), metric, target)
    lines, chosen = entries(of, strategies), seeds_of(seeds)
    originals = {id(line.source): line.source for line in lines if isinstance(line.source, Federation)}
    with ExitStack() as held:
        for federation in originals.values():
            held.enter_context(federation.in_use())
        laps = Laps(lines, chosen, num_rounds, alone=alone, pooled=pooled)
        laps.play()
    return laps.found(metric, target)


def _check_plain(*, alone: bool, pooled: object, num_rounds: int, seeds: object) -> None:
    """Refuse what would have to be run where there is nothing to run."""
    given = {"alone": alone, "pooled": pooled is not None, "num_rounds": num_rounds != ROUNDS, "seeds": seeds != SEEDS}
    extra = [name for name, is_given in given.items() if is_given]
    if extra:
        raise SettingError(
            f"{extra[0]}= was given, and no strategies.",
            "Runs that are there are compared as they are: nothing is run.",
            f'Leave {extra[0]}= out, or pass a federation and strategies: fl.compare(federation, {{"FedAvg": ...}}).',
        )


def _of_runs(given: Mapping[str, tuple[History, ...]], metric: str | None, target: float | None) -> Comparison:
    flat = [run for runs in given.values() for run in runs]
    known = dict.fromkeys(name for run in flat for record in run for name in record.metrics)
    chosen = metric or headline(History(record for run in flat for record in run))
    without = next(
        (name for name, runs in given.items() if not any(chosen in r.metrics for run in runs for r in run)), None
    )
    if without is not None and known:
        raise SettingError(
            f"The runs of {without!r} have no score {chosen!r}.",
            "Lines in one chart show one and the same score.",
            f"Compare runs that share a score, by metric= one of: {listed(known)}.",
        )
    lanes = [Lane(name, runs, tuple(run[-1].epsilon for run in runs)) for name, runs in given.items()]
    private = any(epsilon is not None for lane in lanes for epsilon in lane.epsilons)
    note = "Epsilon is where the accounts stood when a run ended, with all that had left the same rows before it."
    return Comparison(tuple(lanes), chosen, target, notes=(note,) if private else ())
