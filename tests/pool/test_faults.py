"""Owners that fail at a worker, workers that end, and work that cannot go to one: told, and nothing counted twice."""

import os
import signal
import threading

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RoundError, SettingError
from tests.pool.common import Breaking, Holding, facts, refusing, rows_of
from tests.rounds.common import assert_teaches, bits, cells, play

MLP = fl.models.mlp()


def told(history):
    """What every round says of who failed in it."""
    return [([str(f) for f in record.lost], str(record.failed)) for record in history]


@pytest.mark.parametrize("min_owners", [None, 3, 6])
@pytest.mark.parametrize("executor", ["stacked", "sequential"])
def test_owners_that_fail_are_those_that_fail_in_one_process(min_owners, executor, pool_of):
    made = cells(7)
    strategy = Breaking(MLP, executor=executor, errors=("Owner 3",), none=("Owner 6",), in_round=2)
    one = fl.Federation(made, min_owners=min_owners)
    expected = play(one, strategy)
    pooled = pool_of(2).federation(made, min_owners=min_owners)
    history = play(pooled, strategy)
    assert told(history) == told(expected)
    assert "Owner 3" in str(told(history))
    assert "Zanzibar" not in str(told(history))
    assert bits(history) == bits(expected)
    assert facts(pooled) == facts(one)


def test_the_first_owner_that_gives_no_answer_is_named(pool_of):
    made = cells(7)
    for federation in (fl.Federation(made), pool_of(2).federation(made)):
        with pytest.raises(SettingError, match="Owner 2 was asked"):
            federation.hear("a word", refusing, number=1, debits=dict.fromkeys(federation.names, ()))
        assert len(federation.ledger) == 0


def test_numbers_beyond_the_bound_are_refused_where_they_are(pool_of):
    federation = pool_of(2).federation(cells(4))
    debits = dict.fromkeys(federation.names, ())
    with pytest.raises(RoundError) as caught:
        federation.gather("count", rows_of, number=1, cohort=federation.names, bound=1.0, debits=debits)
    assert_teaches(caught, "Owner 1")
    assert len(federation.ledger) == 0


def test_a_worker_that_ends_fails_the_round_and_the_run_goes_on_in_another_pool(lone, pool_of):
    pool, (first, _) = lone
    made, strategy = cells(7), fl.SCAFFOLD(MLP)
    whole = play(fl.Federation(made), strategy, num_rounds=3)
    federation = pool.federation(made)
    records = fl.rounds(federation, strategy, num_rounds=3)
    history = [next(records)]
    os.kill(first, signal.SIGKILL)
    history += records
    assert_teaches(history[-1].failed.error, "worker", "new pool")
    assert history[-1].number == 2
    rest = play(pool_of(3).federation(made), strategy, num_rounds=3, after=history[-1])
    assert bits([history[0], *rest]) == bits(whole)


def test_a_pool_that_was_closed_says_so(lone):
    pool, numbers = lone
    federation = pool.federation(cells(4))
    records = fl.rounds(federation, fl.FedAvg(MLP), num_rounds=2)
    next(records)
    pool.close()
    pool.close()
    assert "closed" in repr(pool)
    assert not any(_runs(number) for number in numbers)
    assert_teaches(next(records).failed.error, "pool was closed")
    with pytest.raises(SettingError) as caught:
        pool.federation(cells(4))
    assert_teaches(caught, "closed")


def test_work_that_can_be_nowhere_else_is_refused_in_words(pool_of):
    strategy = Holding(MLP, held=threading.Lock())
    assert play(fl.Federation(cells(4)), strategy)[-1].failed is None
    failed = play(pool_of(2).federation(cells(4)), strategy)[-1].failed
    assert_teaches(failed.error, "could not be written", "lock")


def test_workers_that_would_train_in_two_ways_are_refused(pool_of, monkeypatch):
    federation = pool_of(2).federation(cells(4))
    compute = federation._workers.compute

    def two_ways(*given):
        held, done = compute(*given)
        return held, [part._replace(ways=frozenset({way})) for part, way in zip(done, ("one", "two"), strict=True)]

    monkeypatch.setattr(federation._workers, "compute", two_ways)
    with pytest.raises(RoundError) as caught:
        federation.gather(
            "count", rows_of, number=1, cohort=federation.names, bound=1e3, debits=dict.fromkeys(federation.names, ())
        )
    assert_teaches(caught, "executor=")


def test_what_was_computed_for_a_refused_round_is_not_added_later(pool_of):
    federation = pool_of(2).federation(cells(4))
    asked = {"number": 1, "cohort": federation.names, "debits": dict.fromkeys(federation.names, ())}
    with pytest.raises(RoundError):
        federation.gather("count", rows_of, bound=1.0, **asked)
    total = federation.gather("count", rows_of, bound=1e3, **asked)
    again = fl.Federation(cells(4)).gather("count", rows_of, bound=1e3, **asked)
    assert np.array_equal(total.value, again.value)
    assert total.weight == 4.0


def _runs(number):
    """Whether a process with this number is still there."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True
