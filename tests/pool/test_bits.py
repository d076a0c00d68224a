"""A pooled run has the bits of a run in one process, whatever the number of workers; and so has its ledger."""

from functools import cache

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.compress import RandomK, TopK
from fedlab_nb.horizontal.asynchronous import FedBuff
from fedlab_nb.horizontal.drift import FedDyn
from fedlab_nb.horizontal.fairness import AFL, QFFL
from fedlab_nb.horizontal.personal import Ditto, FedPer, PerFedAvg
from fedlab_nb.learn import Learner
from tests.pool.common import facts, kept
from tests.rounds.common import bits, cells, declared, events_of, forget, logistic, play

MLP = fl.models.mlp()
ROW = {"protect": fl.RowLevelDP(row_rate=0.5, noise_multiplier=1.0), "noise_seed": 3}
OWNER = {"protect": fl.OwnerLevelDP(clip=fl.AdaptiveClip(count_noise=10), noise_multiplier=4.0), "noise_seed": 3}
FEW = {
    "FedAvg": (fl.FedAvg(MLP), {}),
    "SCAFFOLD, some owners a round": (fl.SCAFFOLD(MLP), {"sample_rate": 0.7, "dropout": 0.2}),
    "rows hidden": (logistic(), ROW),
}
MORE = {
    "one after another": (fl.FedAvg(MLP, executor="sequential"), {}),
    "owners hidden": (logistic(), OWNER),
    "models of their own": (Ditto(MLP), {}),
    "heads at home": (FedPer(MLP), {}),
    "one own step": (PerFedAvg(MLP), {}),
    "corrections": (FedDyn(MLP), {}),
    "powers of losses": (QFFL(MLP), {}),
    "a mixture": (AFL(MLP), {}),
    "a buffer": (FedBuff(MLP, buffer_size=3), {}),
    "a median": (fl.FedAvg(MLP, aggregate=fl.aggregate.Median()), {}),
    "groups": (fl.FedAvg(MLP, aggregate=fl.aggregate.Median(), groups=5), {}),
    "packed": (fl.FedAvg(MLP, compress=TopK(0.2, feedback=True)), {}),
    "drawn numbers": (fl.FedAvg(MLP, compress=RandomK(0.5)), {}),
}
CASES = {**FEW, **MORE}


@cache
def owners(case):
    return declared(9, 30) if CASES[case][1] is OWNER else cells(11 if case == "groups" else 7)


@cache
def alone(case):
    """The run in one process."""
    strategy, settings = CASES[case]
    federation = fl.Federation(owners(case), **settings)
    history = play(federation, strategy)
    assert [record.failed for record in history] == [None] * 3
    return bits(history), facts(federation), kept(history), history.frame()["accuracy"].tolist()


def assert_same(pool, case):
    strategy, settings = CASES[case]
    expected = alone(case)
    forget()  # who was asked before, under a budget or not, makes no difference
    federation = pool.federation(owners(case), **settings)
    history = play(federation, strategy)
    assert [record.failed for record in history] == [None] * 3
    assert (bits(history), facts(federation), kept(history), history.frame()["accuracy"].tolist()) == expected
    assert federation.ledger.verify()


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("case", FEW)
def test_any_number_of_workers_gives_the_bits_of_none(case, workers, pool_of):
    assert_same(pool_of(workers), case)


@pytest.mark.parametrize("case", MORE)
def test_every_way_of_combining_owners_gives_the_bits_of_one_process(case, pool_of):
    assert_same(pool_of(2), case)


@pytest.mark.parametrize("scheme", [fl.CKKS(), fl.SecAgg()], ids=repr)
def test_encrypted_sums_of_a_pool_are_those_of_one_process(scheme, pool_of):
    one = play(fl.Federation(owners("FedAvg"), encrypt=scheme), fl.FedAvg(MLP))
    federation = pool_of(2).federation(owners("FedAvg"), encrypt=scheme)
    history = play(federation, fl.FedAvg(MLP))
    assert bits(history) == bits(one)
    assert all(m.encrypted for m in federation.ledger.messages if m.kind in ("update", "score count"))


def test_a_run_goes_on_in_another_pool_or_without_one(pool_of):
    strategy, made = fl.SCAFFOLD(MLP), cells(7)
    whole = play(fl.Federation(made), strategy, num_rounds=3)
    first = play(pool_of(1).federation(made), strategy, num_rounds=1)
    second = play(pool_of(3).federation(made), strategy, num_rounds=2, after=first[-1])
    third = play(fl.Federation(made), strategy, num_rounds=3, after=second[-1])
    assert bits([first[0], second[0], third[0]]) == bits(whole)
    assert kept(third) == kept(whole)


def test_budgets_are_debited_as_without_a_pool(pool_of):
    settings = {"protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3)}
    made = declared(4, 40)
    federation = fl.Federation(made, **settings)
    epsilon = play(federation)[-1].epsilon
    debits = [events_of(federation, name) for name in federation.names]
    forget()
    pooled = pool_of(2).federation(made, **settings)
    history = play(pooled)
    assert history[-1].failed is None
    assert history[-1].epsilon == epsilon
    assert [events_of(pooled, name) for name in pooled.names] == debits


def test_equal_runs_are_answered_from_the_books_and_not_computed_again(pool_of):
    settings = {"protect": fl.RowLevelDP(), "budget": fl.Budget(8.0, 1e-3)}
    made = declared(4, 40)
    pool = pool_of(2)
    first, again = pool.federation(made, **settings), pool.federation(made, **settings)
    history = play(first)
    assert bits(play(again)) == bits(history)
    assert again.books.reused > 0
    assert again.ledger.busy_seconds == {}


def test_analytics_over_a_pool_give_the_same_table(pool_of):
    made = cells(5)
    plain = fl.PrivateFrame(fl.Federation(made)).describe()
    pooled = fl.PrivateFrame(pool_of(2).federation(made)).describe()
    assert repr(pooled) == repr(plain)


@pytest.mark.parametrize("model", [fl.models.logistic(), MLP, fl.models.mlp(hidden=(128,))], ids=repr)
def test_outputs_of_a_row_have_the_same_bits_whatever_rows_are_scored_with_it(model):
    rng = np.random.default_rng(0)
    learner = Learner.of(model, 30, 4, "multiclass")
    weights = rng.normal(0.0, 0.3, sum(size for _, size in learner.tensors))
    X = rng.normal(size=(1500, 30)).astype(np.float32)
    whole = learner.scores(weights, X)
    for first, last in ((0, 1), (3, 10), (5, 38), (17, 130), (1, 1500)):
        assert np.array_equal(learner.scores(weights, X[first:last]), whole[first:last])
