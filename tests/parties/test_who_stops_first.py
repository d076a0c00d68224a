"""Whose budget ends first is foretold, and is where the run ends; what naive counting would say stands beside it."""

import math
from dataclasses import replace

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.privacy.tight import naive_epsilon
from fedlab_nb.rounds import rounds
from tests.rounds.common import fresh_accounts, logistic, play, tumours

__all__ = ["fresh_accounts"]

NOISE = 6.0


def clinics(*budgets, seed=0):
    """Owners with a budget each, or None for that of the federation."""
    frame = tumours().iloc[:, [0, 1, 30]]
    parts = np.array_split(np.random.default_rng(seed).permutation(len(frame)), len(budgets))
    return [
        fl.DataOwner(
            f"Clinic {name}", frame.iloc[part], target="diagnosis", budget=epsilon and fl.Budget(epsilon, 1e-3)
        )
        for name, part, epsilon in zip("ABCDE", parts, budgets, strict=False)
    ]


def federated(*budgets, seed=0, **settings):
    mechanism = fl.RowLevelDP(noise_multiplier=NOISE)
    return fl.Federation(clinics(*budgets, seed=seed), protect=mechanism, budget=fl.Budget(8, 1e-3), **settings)


def stand(federation, num_rounds=200):
    """Where the budgets stand after the first of so many rounds."""
    record = next(rounds(federation, logistic(), num_rounds=num_rounds))
    return logistic().spending(federation, record, num_rounds)


def test_the_owner_with_least_budget_stops_first_and_the_run_ends_just_there():
    federation, strategy = federated(8, 3, None), logistic()
    stream = rounds(federation, strategy, num_rounds=200)
    record = next(stream)
    name, more = strategy.spending(federation, record, 200).first
    assert name == "Clinic B"
    assert more == strategy.spending(federation, record, 200).left > 3
    played = 0
    for record in stream:
        if record.failed is not None:
            break
        played += 1
    assert isinstance(record.failed.error, BudgetExceededError)
    assert "'Clinic B'" in str(record.failed.error)
    assert played == more


def test_equal_outlooks_name_nobody():
    assert stand(federated(None, None, None)).first is None
    assert stand(federated(4, 4, 4, seed=1)).first is None


def test_who_has_spent_before_stops_first():
    federation = federated(None, None, None, seed=2)
    # The same rows as Clinic C's, in another federation before.
    others = clinics(None, None, None, seed=3)
    before = fl.Federation(
        [clinics(None, None, None, seed=2)[2], *others[:1]],
        protect=fl.RowLevelDP(noise_multiplier=NOISE),
        budget=fl.Budget(2, 1e-3),
    )
    play(before, num_rounds=2)
    first = stand(federation).first
    assert first[0] == "Clinic C"
    assert first[1] > 0


def test_without_any_budget_nobody_stops():
    federation = fl.Federation(clinics(None, None, seed=4), protect=fl.RowLevelDP(noise_multiplier=NOISE))
    found = stand(federation)
    assert (found.first, found.left) == (None, None)


def test_one_owner_with_a_budget_stops_before_those_without():
    owners = clinics(3, None, None, seed=5)
    federation = fl.Federation(owners, protect=fl.RowLevelDP(noise_multiplier=NOISE))
    assert stand(federation).first[0] == "Clinic A"


def test_the_naive_sum_is_told_at_the_end_and_is_that_of_the_account():
    federation, strategy = federated(None, None, seed=6), logistic()
    stream = rounds(federation, strategy, num_rounds=6)
    assert strategy.spending(federation, next(stream), 6).naive is None, (
        "while rounds are to come, nothing waits for it"
    )
    *_, last = stream
    found = strategy.spending(federation, last, 6)
    counts = federation.account("Clinic A").counts
    lanes = [
        {event: times for (event, _), times in counts.items() if event.rows in (rows, "all")}
        for rows in ("training", "held-out")
    ]
    assert found.naive == pytest.approx(max(naive_epsilon(lane, 1e-3) for lane in lanes))
    assert math.isfinite(found.naive)
    assert found.naive > found.spent


@pytest.mark.parametrize(
    ("rounds_left", "words"),
    [
        (3, "Clinic B stops first: 3 more rounds fit."),
        (1, "Clinic B stops first: 1 more round fits."),
        (0, "Clinic B stops first: no further round fits."),
    ],
)
def test_it_is_said_in_one_plain_sentence_on_the_card(rounds_left, words):
    found = replace(stand(federated(None, None, seed=7)), first=("Clinic B", rounds_left), naive=12.345)
    page = found._repr_html_()
    assert found.first_words == words
    assert words in page
    assert "Each release added by itself" in page
    assert "epsilon 12.3" in page


def test_nothing_is_said_where_there_is_nothing_to_say():
    page = replace(stand(federated(None, None, seed=8)), first=None, naive=None)._repr_html_()
    assert "stops first" not in page
    assert "by itself" not in page
