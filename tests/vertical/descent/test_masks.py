"""Partial scores of three owners or more: their sum is exact, each masked message a uniformly random one."""

import numpy as np
import pytest
from scipy.stats import kstest

import fedlab_nb as fl
from fedlab_nb.parties.columns.split import split_columns
from fedlab_nb.vertical import LinearRegression
from fedlab_nb.vertical.descent import add_up_scores
from fedlab_nb.vertical.shared.strategy import SCORES
from tests.vertical.descent.pooled import columns, federation, labels, played, table

# A test of random numbers that fails by chance once in so many runs.
ODDS = 1e-9


@pytest.fixture(scope="module", params=[3, 4])
def added(request):
    """A federation; twice the sums at the owner of the labels, and the messages; each owner's own partial scores."""
    held = {"shop": ["visits", "region"], "post": ["letters", "sector"], "club": ["parcels", "spent"]}
    named = dict(list(held.items())[: request.param - 1])
    fed = fl.Federation(
        split_columns(table(), id="customer", target="worth", bank=["income", "age", "worth"], **named),
        encrypt=fl.CKKS("deep"),
    )
    strategy = LinearRegression("bank")
    state = played(fed, strategy, 1)[-1].state
    rounds = []
    for _ in range(2):
        at, before = strategy.meeting(state, fed, 1), len(fed.ledger)
        weights = {name: state.weights[name].reshape(-1, 1) for name in fed.names}
        add_up_scores(at, weights, SCORES)
        sums = at.own("test", lambda mine: mine.memory.pop(SCORES), at="bank")
        rounds.append((sums, [m for m in fed.ledger.messages[before:] if m.kind == "partial score, masked"]))
    scores = {name: columns(fed)[name] @ weights[name] for name in fed.names}
    return fed, rounds, scores


def as_words(message):
    return np.frombuffer(message.payload.data, dtype="<u8")


def test_the_sum_is_that_of_all_partial_scores_to_the_grid(added):
    _, rounds, scores = added
    for sums, _ in rounds:
        np.testing.assert_allclose(sums, sum(scores.values()), atol=len(scores) * 2.0**-25)
    assert (rounds[0][0] == rounds[1][0]).all(), "masks come off without a trace"


def test_each_masked_message_alone_is_uniform_and_not_the_scores(added):
    fed, rounds, scores = added
    for _, messages in rounds:
        assert [m.sender for m in messages] == [name for name in fed.names if name != "bank"]
        for message in messages:
            words = as_words(message)
            assert kstest(words / 2.0**64, "uniform").pvalue > ODDS
            assert abs(np.corrcoef(words.astype(float), scores[message.sender][:, 0])[0, 1]) < 0.7


def test_any_but_all_of_the_messages_together_are_uniform(added):
    _, rounds, _ = added
    for _, messages in rounds:
        words = [as_words(m) for m in messages]
        for without in range(len(words)):
            rest = np.sum([w for place, w in enumerate(words) if place != without], axis=0, dtype=np.uint64)
            assert kstest(rest / 2.0**64, "uniform").pvalue > ODDS


def test_a_mask_is_used_once_even_in_the_same_round_under_the_same_keys(added):
    _, rounds, _ = added
    for first, second in zip(rounds[0][1], rounds[1][1], strict=True):
        assert first.round == second.round
        assert kstest((as_words(first) - as_words(second)) / 2.0**64, "uniform").pvalue > ODDS


def test_with_one_other_owner_its_scores_cross_as_they_are():
    fed = federation("number")
    last = played(fed, LinearRegression("bank"), 1)[-1]
    told = [m for m in fed.seen_by("bank") if m.kind == "partial score"]
    assert len(told) == 1
    expected = columns(fed, "held_out")["shop"] @ last.state.weights["shop"].reshape(-1, 1)
    np.testing.assert_allclose(told[0].payload, expected, atol=1e-6)
    truth = labels(fed, "held_out")[:, 0]
    scores = sum(columns(fed, "held_out")[n] @ last.state.weights[n].reshape(-1, 1) for n in fed.names)[:, 0]
    scale = last.state.context.target.scale
    assert last.metrics["rmse"] == pytest.approx(scale * np.sqrt(np.mean((scores - truth) ** 2)), rel=1e-5)
