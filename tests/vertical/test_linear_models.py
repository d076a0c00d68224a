"""Vertical linear models equal a plain descent on the pooled columns of the rows in common, whoever multiplies what."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as OfPooled
from sklearn.metrics import roc_auc_score

import fedlab_nb as fl
from fedlab_nb.course import Course
from fedlab_nb.vertical import LinearRegression, LogisticRegression, PoissonRegression
from tests.checkpoint.common import arrays_of
from tests.vertical.descent.pooled import columns, distance, federation, fitted, labels, parts, played, table

NEAR = 1e-5


def far_values():
    """The table with one spender far beyond 8 standard deviations from all others."""
    return table().assign(spent=lambda f: f["spent"].mask(f["spent"] == f["spent"].max(), 1e5))


CASES = {
    "binary": ("binary", LogisticRegression("bank"), {}),
    "binary, batches": ("binary", LogisticRegression("bank", batch_size=40, lr=0.5), {}),
    "binary, l1": ("binary", LogisticRegression("bank", l1=0.01), {}),
    "binary, straight": ("binary", LogisticRegression("bank", sigmoid="straight"), {}),
    "binary, gaps": ("binary", LogisticRegression("bank", l2=0.01), {"gaps": True}),
    "binary, three owners": ("binary", LogisticRegression("bank"), {"parties": 3}),
    "three classes": ("classes", LogisticRegression("bank"), {}),
    "three classes, three owners, batches": (
        "classes",
        LogisticRegression("bank", batch_size=50),
        {"parties": 3, "post": ["letters", "parcels", "sector"], "bank": ["income", "kind"]},
    ),
    "binary, far values": ("binary", LogisticRegression("bank"), {"frame": far_values()}),
    "number": ("number", LinearRegression("bank", l2=0.0), {}),
    "number, three owners, gaps": ("number", LinearRegression("bank"), {"parties": 3, "gaps": True}),
    "number, l1, batches": ("number", LinearRegression("bank", l1=0.05, batch_size=64), {}),
    "count": ("count", PoissonRegression("bank", lr=0.5), {}),
    "count, batches": ("count", PoissonRegression("bank", lr=0.3, batch_size=60), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_weights_are_those_of_a_plain_descent_on_pooled_columns(case):
    kind, strategy, settings = CASES[case]
    fed = federation(kind, **settings)
    last = played(fed, strategy, 3, seed=5)[-1]
    straight = settings.get("parties") == 3 or getattr(strategy, "sigmoid", None) == "straight"
    expected = fitted(fed, strategy, 3, straight=straight, seed=5)
    assert max(np.abs(w).max() for w in expected.values()) > 0.1
    assert distance(last.state, expected) < NEAR


def bits(history):
    """What must be equal of equal runs: every array of every state, and the scores."""
    return [(r.number, arrays_of(r), dict(r.metrics)) for r in history]


@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        ("binary", LogisticRegression),
        ("number", LinearRegression),
        ("count", PoissonRegression),
    ],
)
def test_without_a_key_holder_all_bits_are_the_same(kind, strategy):
    made = parts(kind)
    with_one, without = (
        played(fl.Federation(made, encrypt=fl.CKKS("deep")), strategy("bank", lr=0.5, key_holder=there), 2)
        for there in (True, False)
    )
    for one, other in zip(with_one, without, strict=True):
        assert {name: w.tobytes() for name, w in one.state.weights.items()} == {
            name: w.tobytes() for name, w in other.state.weights.items()
        }
        assert dict(one.metrics) == dict(other.metrics)


def test_without_a_key_holder_nobody_is_one():
    fed = federation()
    played(fed, LogisticRegression("bank", key_holder=False), 1)
    assert not fed.seen_by("key holder")
    opened = {(m.sender, m.receiver) for m in fed.ledger.messages if m.kind == "padded gradient, opened"}
    assert opened == {("bank", "shop"), ("shop", "bank")}


def test_equal_seeds_give_equal_bits_and_others_another_order_of_batches():
    strategy, made = LogisticRegression("bank", batch_size=40, lr=0.5), parts()
    first, again, other = (
        bits(played(fl.Federation(made, encrypt=fl.CKKS("deep")), strategy, 2, seed=seed)) for seed in (3, 3, 5)
    )
    assert first == again
    assert first[0][1] != other[0][1]


def test_a_run_that_goes_on_equals_the_uninterrupted_one_under_keys_that_change():
    made, strategy = parts(), LogisticRegression("bank", l1=0.005)
    whole = played(fl.Federation(made, encrypt=fl.CKKS("deep")), strategy, 5)
    fed = fl.Federation(made, encrypt=fl.CKKS("deep", rounds_per_key=2))
    begun = played(fed, strategy, 3)
    assert len({m.payload for m in fed.ledger.messages if m.kind == "public key"}) == 2
    other = fl.Federation(made, encrypt=fl.CKKS("deep", rounds_per_key=2))
    rest = list(fl.rounds(other, strategy, num_rounds=5, after=begun[-1]))
    assert bits(begun + rest) == bits(whole)


def test_a_fork_with_another_penalty_leaves_the_run_what_it_was():
    fed = federation()
    strategy, other = LogisticRegression("bank"), LogisticRegression("bank", l2=0.5, l1=0.01)
    whole = played(federation(), strategy, 4)
    begun = played(fed, strategy, 2)
    fork = list(fl.rounds(fed, other, num_rounds=3, after=begun[0]))
    assert fork[-1].failed is None
    assert arrays_of(fork[0]) != arrays_of(begun[1])
    assert bits(begun + list(fl.rounds(fed, strategy, num_rounds=4, after=begun[1]))) == bits(whole)


def test_a_course_is_changed_rewound_and_played_again():
    course = Course(federation(), LogisticRegression("bank"), num_rounds=4, seed=0)

    def play(to):
        while (course.last.number if course.last else 0) < to:
            course.keep(course.next())
        return bits(course.history)

    straight = play(3)
    course.rewind(1)
    course.change({"lr": 0.3})
    changed = play(3)
    assert changed[0] == straight[0]
    assert changed[1] != straight[1]
    assert [r.settings["lr"] for r in course.history] == [1.0, 0.3, 0.3]
    course.rewind(1)
    course.change({"lr": 1.0})
    assert play(3) == straight


def test_a_run_that_is_kept_goes_on_where_it_was_killed(tmp_path):
    made, strategy = parts("number"), LinearRegression("bank", batch_size=60)
    whole = fl.train(
        fl.Federation(made, encrypt=fl.CKKS("deep")), strategy, num_rounds=4, checkpoint=tmp_path / "whole"
    )
    begun = fl.train(fl.Federation(made, encrypt=fl.CKKS("deep")), strategy, num_rounds=2, checkpoint=tmp_path / "run")
    begun.wait()
    again = fl.train(fl.Federation(made, encrypt=fl.CKKS("deep")), strategy, num_rounds=4, checkpoint=tmp_path / "run")
    assert bits(again.history) == bits(whole.history)
    assert len(again.history) == 4


def test_who_is_held_out_is_ranked_as_by_scikit_learn_on_pooled_columns():
    fed = federation(rows=1000)
    last = played(fed, LogisticRegression("bank", l2=0.1), 10)[-1]
    X, y = np.hstack(list(columns(fed).values())), labels(fed)[:, 0]
    other, truth = np.hstack(list(columns(fed, "held_out").values())), labels(fed, "held_out")[:, 0]
    pooled = OfPooled(C=1 / (0.1 * len(X)), max_iter=1000).fit(X, y)
    assert last.metrics["auc"] == pytest.approx(roc_auc_score(truth, pooled.decision_function(other)), abs=1e-3)
    assert last.metrics["auc"] > 0.6
    assert last.metrics["accuracy"] == pytest.approx(pooled.score(other, truth), abs=0.01)


def test_the_owner_of_the_labels_needs_but_one_column():
    fed = federation(bank=["age", "default"])
    strategy = LogisticRegression("bank")
    last = played(fed, strategy, 2)[-1]
    assert distance(last.state, fitted(fed, strategy, 2)) < NEAR
    assert last.state.weights["bank"].shape == (2,), "with the intercept"
