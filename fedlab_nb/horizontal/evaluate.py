"""How good the model is on the rows that every owner holds out, as sums of counts; charged like training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.horizontal.prepare import COUNT_STEP, MOST_ROWS, Setup, encoded, event, noise_in_sum, some_hold_out
from fedlab_nb.learn import Learner, Scorecard
from fedlab_nb.parties import Federation, Rows
from fedlab_nb.privacy import NoisePlan
from fedlab_nb.protect import geometric, geometric_sd
from fedlab_nb.records import PrivacyEvent, Scores, Update

Floats = NDArray[np.float64]


def score_events(federation: Federation, setup: Setup, number: int, *, last: bool) -> list[PrivacyEvent]:
    """The releases that scoring a round will take: charged together with the round, so that none is half paid."""
    plan = setup.plan
    if not some_hold_out(federation):
        return []
    events = [event(federation, number, "a round's score", "held-out", plan.metrics if plan else 0.0)]
    if plan is not None and plan.unit == "owner":
        return [event(federation, number, "a round's score", "all", plan.metrics)]
    if plan is not None and last:
        events.append(verdict_event(plan, number))
    return events


def verdict_event(plan: NoisePlan, number: int) -> PrivacyEvent:
    """The release of every owner's noisy score counts after the last round."""
    return PrivacyEvent(number, "the verdict", "held-out", "row", "geometric", plan.verdict)


def evaluate(
    federation: Federation, setup: Setup, learner: Learner, weights: Floats, number: int, *, last: bool
) -> Scores:
    """Score ``weights`` on all held-out rows; what it releases has been charged already (see score_events).

    Without a mechanism: exact scores of the encrypted sum, and each owner's own. At row level: one noisy score a round,
    and after the last round a verdict with little noise, by owner and over all. At owner level: one noisy score.
    Where no owner holds rows out there is nothing to score, and nothing is released.
    """
    if not some_hold_out(federation):
        return Scores()
    federation.tell("model", weights.astype(np.float32), number=number, to=federation.names)
    if setup.plan is None:
        return _exact(federation, setup, learner, weights, number)
    if last and setup.plan.verdict:
        return _verdict(federation, setup, learner, weights, number)
    return _noisy(federation, setup, learner, weights, number)


def _exact(federation: Federation, setup: Setup, learner: Learner, weights: Floats, number: int) -> Scores:
    card = Scorecard(setup.encoding.task, "exact", setup.encoding.n_outputs)
    own: dict[str, dict[str, float]] = {}

    def count(name: str, rows: Rows) -> Update:
        counts = _counts(card, learner, weights, setup, rows)
        own[name] = _in_units(card.read(counts), setup)
        return Update(counts, 1.0)

    nothing = dict.fromkeys(federation.names, ())
    total = federation.gather(
        "score count", count, number=number, cohort=federation.names, bound=MOST_ROWS, step=COUNT_STEP, debits=nothing
    )
    answers = federation.hear(
        "own score", lambda name, _: np.array([*own[name].values()]), number=number, debits=nothing
    )
    by_owner = {name: dict(zip(own[name], np.asarray(a).tolist(), strict=True)) for name, a in answers.items()}
    return Scores(_in_units(card.read(total.value), setup), by_owner={n: s for n, s in by_owner.items() if s})


def _noisy(federation: Federation, setup: Setup, learner: Learner, weights: Floats, number: int) -> Scores:
    card = Scorecard(setup.encoding.task, "round", setup.encoding.n_outputs)
    assert setup.plan is not None
    of_owner = setup.plan.unit == "owner"
    noise_sd = setup.plan.metrics * (1.0 if of_owner else card.l2)

    def count(_: str, rows: Rows) -> Update:
        counts = _counts(card, learner, weights, setup, rows)
        # At owner level every owner weighs the same: its rows together change the sum by at most 1.
        return Update(counts / max(float(np.linalg.norm(counts)), 1.0) if of_owner else counts, 1.0)

    total = federation.gather(
        "score count",
        count,
        number=number,
        cohort=federation.names,
        bound=MOST_ROWS,
        step=COUNT_STEP,
        noise_sd=noise_sd,
        debits=dict.fromkeys(federation.names, ()),
    ).value
    return _with_noise(card, total, noise_in_sum(federation, noise_sd), setup, rows=setup.held_out)


def _verdict(federation: Federation, setup: Setup, learner: Learner, weights: Floats, number: int) -> Scores:
    card = Scorecard(setup.encoding.task, "verdict", setup.encoding.n_outputs)
    assert setup.plan is not None
    epsilon = setup.plan.verdict

    def count(name: str, rows: Rows) -> Floats:
        counts = _counts(card, learner, weights, setup, rows)
        return counts + geometric(federation.noise(number, name, "verdict"), counts.size, epsilon, card.l1)

    answers = federation.hear("verdict", count, number=number, debits=dict.fromkeys(federation.names, ()))
    counts = {name: np.asarray(answer, dtype=np.float64) for name, answer in answers.items()}
    sd = geometric_sd(epsilon, card.l1)
    overall = _with_noise(card, np.sum(list(counts.values()), axis=0), sd * len(counts) ** 0.5, setup)
    by_owner = {name: _in_units(card.read(c), setup) for name, c in counts.items()}
    return Scores(overall.metrics, overall.noise, {name: scores for name, scores in by_owner.items() if scores})


def _counts(card: Scorecard, learner: Learner, weights: Floats, setup: Setup, rows: Rows) -> Floats:
    X, y = encoded(rows, setup.encoding, "held_out")
    if not len(X):
        return np.zeros(card.size)
    return card.count(learner.scores(weights, X), y)


def _with_noise(card: Scorecard, total: Floats, sd: float, setup: Setup, rows: float = 0.0) -> Scores:
    main = "rmse" if setup.encoding.task == "regression" else "accuracy"
    metrics = card.read(total, rows)
    noise = {main: card.accuracy_noise(total, sd, rows)} if main in metrics else {}
    return Scores(_in_units(metrics, setup), _in_units(noise, setup))


def _in_units(metrics: Mapping[str, float], setup: Setup) -> dict[str, float]:
    """RMSE in the target's own units: the model works in standard deviations."""
    scale = getattr(setup.encoding.target, "scale", 1.0)
    return {name: value * scale if name == "rmse" else value for name, value in metrics.items()}
