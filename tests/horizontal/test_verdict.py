"""The noise of the verdict is that of the events it is charged as: measured on messages that hold nothing else."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.horizontal.evaluate import VERDICT, nearest, plausible
from fedlab_nb.learn import Scorecard
from fedlab_nb.learn.metrics import VERDICT_EDGES
from tests.rounds.common import declared, events_of, play

BUDGET = fl.Budget(epsilon=4, delta=1e-3)
SEEDS = range(5)
FINE, COARSE = Scorecard("binary", "verdict"), Scorecard("binary", "round")


def houses():
    """Many small owners of a number to predict, with everything declared."""
    rng, made = np.random.default_rng(0), []
    for i in range(40):
        x = rng.normal(size=8)
        frame = pd.DataFrame({"size": x, "price": x + rng.normal(0, 0.5, 8)})
        bounds = {"size": (-4, 4), "price": (-6, 6)}
        made.append(fl.DataOwner(f"Town {i}", frame, target="price", bounds=bounds))
    return made


def charged(owners):
    """The noise multipliers at which each owner was debited for the verdict: over all owners, and its own."""
    federation = fl.Federation(owners, budget=BUDGET)
    play(federation, num_rounds=1)
    amounts = set()
    for name in federation.names:
        verdicts = [event for event in events_of(federation, name) if event.purpose == VERDICT]
        assert {(e.mechanism, e.rows, e.unit, e.delta) for e in verdicts} == {("gaussian", "held-out", "row", 0.0)}
        amounts.add(tuple(event.amount for event in verdicts))
    ((together, alone),) = amounts
    return together, alone


@pytest.mark.parametrize(
    ("make", "task"),
    [(lambda: declared(owners=20, rows=8), "binary"), (houses, "regression")],
    ids=["binary", "number"],
)
@pytest.mark.parametrize("exact", [False, True], ids=["float", "exact"])
def test_the_noise_in_a_verdict_is_that_of_the_charged_events(make, task, exact, monkeypatch):
    owners, l2 = make(), Scorecard(task, "round").l2
    together, alone = charged(owners)
    count = Scorecard.count
    monkeypatch.setattr(Scorecard, "count", lambda self, *rows: np.zeros_like(count(self, *rows)))
    drawn = {"score count": [], "verdict": []}
    for seed in SEEDS:
        protect = fl.RowLevelDP(exact_noise=exact)
        federation = fl.Federation(owners, budget=BUDGET, protect=protect, noise_seed=seed)
        history = play(federation, num_rounds=1)
        assert history[-1].failed is None
        for message in federation.ledger.messages:
            if message.kind in drawn and message.receiver == "server":
                drawn[message.kind].append(message.payload)
    size = 2 if task == "regression" else 2 * (len(VERDICT_EDGES) + 1)
    for kind, amount, numbers in (("score count", together, size), ("verdict", alone, 2)):
        noise = np.array(drawn[kind])[:, :numbers]
        assert noise.shape == (len(owners) * len(SEEDS), numbers)
        # Without encryption each owner adds all of the noise. Bounds are six standard errors wide.
        assert np.std(noise) == pytest.approx(amount * l2, rel=6 / (2 * noise.size) ** 0.5)
        assert abs(np.mean(noise)) < 6 * amount * l2 / noise.size**0.5


@pytest.mark.parametrize(("task", "outputs"), [("binary", 1), ("multiclass", 4), ("regression", 1)])
def test_one_row_moves_what_a_verdict_counts_by_no_more_than_its_noise_is_made_for(task, outputs):
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 4, (200, outputs))
    y = rng.normal(0, 4, 200) if task == "regression" else rng.integers(0, max(outputs, 2), 200)
    details = ["round"] if task == "regression" else ["round", "verdict"]
    for card in (Scorecard(task, detail, outputs) for detail in details):
        whole = card.count(scores, y)
        for row in range(200):
            rest = np.arange(200) != row
            moved = np.linalg.norm(whole - card.count(scores[rest], y[rest]))
            assert moved <= Scorecard(task, "round", outputs).l2 * (1 + 1e-9)


@pytest.mark.parametrize("total", [0.3, 7.0, 40.0])
def test_the_nearest_counts_are_nowhere_below_nought_have_their_sum_and_are_nearest(total):
    rng = np.random.default_rng(2)
    numbers = rng.normal(2, 3, 12)
    found = nearest(numbers, total)
    assert found.min() >= 0.0
    assert found.sum() == pytest.approx(total)
    for _ in range(300):
        other = rng.dirichlet(np.ones(12)) * total
        between = found + 1e-3 * (other - found)
        assert np.linalg.norm(numbers - between) >= np.linalg.norm(numbers - found) - 1e-12
    assert nearest(numbers, 0.0).tolist() == [0.0] * 12


def test_counts_without_noise_stay_what_they_are_where_wrong_predictions_get_rarer():
    counts = np.array([9, 4, 2, 1, 3, 1, 0, 0, 0, 0, 1, 2, 2, 0, 5, 8], dtype=float)
    assert plausible(FINE, counts) == pytest.approx(counts)
    assert plausible(COARSE, np.array([3.0, 40.0])).tolist() == [3.0, 40.0]
    errors = np.array([40.0, -1.0])
    assert plausible(Scorecard("regression", "verdict"), errors).tolist() == [40.0, -1.0]
    assert plausible(FINE, -counts).tolist() == [0.0] * 16
    assert len(VERDICT_EDGES) % 2 == 1, "as many bins below one half as above"
    assert VERDICT_EDGES[len(VERDICT_EDGES) // 2] == 0.5


def test_plausible_counts_have_no_more_error_than_counts_that_are_cut_off_at_nought():
    """A good model, as most are at the end: less error in accuracy, and much less in AUC, over 400 draws."""
    rng = np.random.default_rng(3)
    counts = np.array([55, 10, 12, 4, 1, 0, 0, 1, 0, 0, 0, 1, 3, 7, 8, 24], dtype=float)
    exact, errors = FINE.read(counts), {"cut": [], "plausible": []}
    for _ in range(400):
        noisy = counts + rng.normal(0, 0.7, 16)
        for kind, used in (("cut", noisy), ("plausible", plausible(FINE, noisy))):
            found = FINE.read(used)
            errors[kind].append([found["accuracy"] - exact["accuracy"], found["auc"] - exact["auc"]])
    cut, better = (np.sqrt(np.mean(np.square(errors[kind]), axis=0)) for kind in ("cut", "plausible"))
    assert better[0] < 0.9 * cut[0]
    assert better[1] < 0.6 * cut[1]
