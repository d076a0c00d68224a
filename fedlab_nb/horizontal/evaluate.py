"""How good the model is on the rows that every owner holds out, as sums of counts; charged like training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.horizontal.noise import event, noise_in_sum
from fedlab_nb.horizontal.prepare import COUNT_STEP, MOST_ROWS, Setup, some_hold_out
from fedlab_nb.horizontal.side.counting import Counting, OwnScores, in_units, read_both
from fedlab_nb.learn import Learner, Scorecard
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.privacy import NoisePlan
from fedlab_nb.protect import with_share
from fedlab_nb.records import PrivacyEvent, Scores

Floats = NDArray[np.float64]

VERDICT = "the verdict"
# The grid of exact noise in an answer that one owner gives alone, where no encryption brings a grid of its own.
FINE_STEP = 2.0**-10


def score_events(federation: Federation, setup: Setup, number: int, *, last: bool) -> list[PrivacyEvent]:
    """The releases that scoring a round will take: charged together with the round, so that none is half paid."""
    plan = setup.plan
    if not some_hold_out(federation):
        return []
    events = [event(federation, number, "a round's score", "held-out", plan.metrics if plan else 0.0)]
    if plan is not None and plan.unit == "owner":
        return [event(federation, number, "a round's score", "all", plan.metrics)]
    if plan is not None and last:
        events += verdict_events(plan, number)
    return events


def verdict_events(plan: NoisePlan, number: int) -> list[PrivacyEvent]:
    """The releases after the last round: the score counts of all owners together, and every owner's own."""
    amounts = plan.verdict, plan.own_verdicts
    return [PrivacyEvent(number, VERDICT, "held-out", "row", "gaussian", amount) for amount in amounts]


def evaluate(
    federation: Federation,
    setup: Setup,
    learner: Learner,
    weights: Floats,
    number: int,
    *,
    last: bool,
    asked: str,
    personal: Callable[[], Mapping[str, Floats]] | None,
) -> Scores:
    """Score ``weights`` on all held-out rows; what it releases was debited ahead, with the round (see score_events).

    ``asked`` says which model is scored on which reading of the rows.

    Without a mechanism: exact scores of the encrypted sum, and each owner's own; where ``personal`` gives models of
    owners, those of these as well, called "personal_accuracy" and so on. At row level: one noisy score a round, and
    after the last round a verdict with less noise, over all and by owner. At owner level: one noisy score. There
    personal models are not scored: they hide nobody. Where no owner holds rows out there is nothing to score, and
    nothing is released.
    """
    if not some_hold_out(federation):
        return Scores()
    federation.tell("model", weights.astype(np.float32), number=number, to=federation.names)
    score, *rest = score_events(federation, setup, number, last=last)
    task, outputs = setup.encoding.task, setup.encoding.n_outputs
    if setup.plan is None:
        counting = Counting(Scorecard(task, "exact", outputs), learner, setup, weights, personal=personal)
        return _exact(federation, setup, counting, score)
    if not rest:
        coarse = Scorecard(task, "round", outputs)
        of_owner = setup.plan.unit == "owner"
        noise_sd = setup.plan.metrics * (1.0 if of_owner else coarse.l2)
        counting = Counting(coarse, learner, setup, weights, shape=_of_one_owner if of_owner else _as_it_is)
        total = _summed(federation, counting, score, noise_sd, asked)
        return _with_noise(coarse, total, noise_in_sum(federation, noise_sd), setup, rows=setup.held_out)
    # The verdict takes the place of the last round's score; that score stays debited, as it may have been asked.
    fine, (together, alone) = Scorecard(task, "verdict", outputs), rest
    noise_sd = together.amount * fine.l2
    total = _summed(federation, Counting(fine, learner, setup, weights), together, noise_sd, asked)
    overall = _with_noise(fine, plausible(fine, total), noise_in_sum(federation, noise_sd), setup)
    own = _own_verdicts(federation, setup, learner, weights, alone, asked)
    return Scores(overall.metrics, overall.noise, own)


def _as_it_is(counts: Floats) -> Floats:
    return counts


def _of_one_owner(counts: Floats) -> Floats:
    """At owner level every owner weighs the same: its rows together change the sum by at most 1."""
    return counts / max(float(np.linalg.norm(counts)), 1.0)


def _summed(
    federation: Federation, counting: Counting, release: PrivacyEvent, noise_sd: float = 0.0, asked: str = ""
) -> Floats:
    """The counts of all owners, as one sum."""
    return federation.gather(
        "score count",
        counting,
        number=release.round,
        cohort=federation.names,
        bound=MOST_ROWS,
        step=COUNT_STEP,
        noise_sd=noise_sd,
        debits={key: [release] for key in federation.names},
        asked=asked,
    ).value


def _exact(federation: Federation, setup: Setup, counting: Counting, release: PrivacyEvent) -> Scores:
    """The scores over all rows, and those that each owner tells of itself."""
    before, own = federation.losses.names, OwnScores(counting, setup)
    heard = federation.hear_later("own score", own, number=release.round)
    total = _summed(federation, counting, release)
    lost = federation.losses.names - before
    names = [name for name in federation.names if name not in lost]
    by_owner = {name: own.named(np.asarray(answer)) for name, answer in heard(names).items()}
    (scores,) = read_both(counting.card, total[None], setup)
    return Scores(scores, by_owner={name: said for name, said in by_owner.items() if said})


def _own_verdicts(
    federation: Federation, setup: Setup, learner: Learner, weights: Floats, release: PrivacyEvent, asked: str
) -> dict[str, dict[str, float]]:
    """Every owner's own score, with all of the noise: one owner's numbers are in no sum that would hide them."""
    card, house = Scorecard(setup.encoding.task, "round", setup.encoding.n_outputs), federation.house

    counting = Counting(card, learner, setup, weights)

    def count(name: str, rows: Rows) -> Floats:
        return with_share(
            counting(name, rows).value,
            release.amount * card.l2,
            1,
            seed=house.noise_seed,
            path=(release.round, federation.names.index(name), *b"verdict"),
            step=FINE_STEP if house.protect and house.protect.exact_noise else None,
            noise_multiplier=release.amount,
        )

    debits = {name: [release] for name in federation.names}
    answers = federation.hear("verdict", count, number=release.round, debits=debits, asked=asked)
    counts = {name: plausible(card, np.asarray(answer, dtype=np.float64)) for name, answer in answers.items()}
    scores = {name: in_units(card.read(numbers), setup) for name, numbers in counts.items()}
    return {name: metrics for name, metrics in scores.items() if metrics}


def plausible(card: Scorecard, counts: Floats) -> Floats:
    """Counts of rows near the noisy ``counts`` of a ``card``: none below 0, and as many rows as these have in all.

    Cut off at 0 one by one, noisy counts would add up to too many rows, most of them where there are none. At detail
    "verdict" rows that were predicted right, and wrong, are shared out first; where two classes are told apart, the
    surer a wrong prediction, the rarer it is taken to be. It works on what has been released, and so costs nothing.
    Errors of numbers stay as they are.
    """
    if card.task == "regression" or card.detail == "round":
        return counts if card.task == "regression" else nearest(counts, float(counts.sum()))
    binary = card.task == "binary"
    # The bins of each class, or of wrong and right rows; for two classes from "surely no" to "surely yes", in halves.
    parts = list(counts.reshape(4 if binary else 2, -1))
    if binary:
        from scipy.optimize import isotonic_regression

        parts[1] = isotonic_regression(parts[1], increasing=False).x
        parts[2] = isotonic_regression(parts[2], increasing=True).x
    totals = nearest(np.array([part.sum() for part in parts]), float(counts.sum()))
    return np.concatenate([nearest(part, total) for part, total in zip(parts, totals, strict=True)])


def nearest(numbers: Floats, total: float) -> Floats:
    """The numbers (n,) nearest to the given ones that add up to ``total`` and are nowhere below 0; 0 without a total.

    Source: Held, Wolfe and Crowder 1974, "Validation of subgradient optimization", section 3 (a projection).

    >>> nearest(np.array([9.0, 2.0, -1.0]), 10.0)
    array([8.5, 1.5, 0. ])
    """
    if total <= 0.0:
        return np.zeros_like(numbers)
    ordered = np.sort(numbers)[::-1]
    surplus = (np.cumsum(ordered) - total) / np.arange(1, numbers.size + 1)
    taken = surplus[np.flatnonzero(ordered > surplus)[-1]]
    return np.asarray(np.maximum(numbers - taken, 0.0))


def _with_noise(card: Scorecard, total: Floats, sd: float, setup: Setup, rows: float = 0.0) -> Scores:
    main = "rmse" if setup.encoding.task == "regression" else "accuracy"
    metrics = card.read(total, rows)
    noise = {main: card.accuracy_noise(total, sd, rows)} if main in metrics else {}
    return Scores(in_units(metrics, setup), in_units(noise, setup))
