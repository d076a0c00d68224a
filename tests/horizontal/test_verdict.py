"""The noise of the verdict is that of the event it is charged as: measured on messages that hold nothing else."""

import numpy as np
import pandas as pd
import pytest

import fedlab_nb as fl
from fedlab_nb.learn import Scorecard
from fedlab_nb.protect import geometric_sd
from tests.rounds.common import declared, play

BUDGET = fl.Budget(epsilon=4, delta=1e-3)
SEEDS = range(5)


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
    """The epsilon at which each owner was debited for its verdict."""
    federation = fl.Federation(owners, budget=BUDGET)
    play(federation, num_rounds=1)
    entries = [event for name in federation.names for event, _ in federation.account(name).entries]
    verdicts = [event for event in entries if event.purpose == "the verdict"]
    assert len(verdicts) == len(owners)
    assert {event.mechanism for event in verdicts} == {"geometric"}
    return {event.amount for event in verdicts}.pop()


@pytest.mark.parametrize(
    ("make", "task"),
    [(lambda: declared(owners=20, rows=8), "binary"), (houses, "regression")],
    ids=["binary", "number"],
)
def test_the_noise_in_a_verdict_is_that_of_the_charged_event(make, task, monkeypatch):
    owners, card = make(), Scorecard(task, "verdict")
    amount = charged(owners)
    count = Scorecard.count
    monkeypatch.setattr(Scorecard, "count", lambda self, *rows: np.zeros_like(count(self, *rows)))
    noise = []
    for seed in SEEDS:
        federation = fl.Federation(owners, budget=BUDGET, noise_seed=seed)
        history = play(federation, num_rounds=1)
        assert history[-1].failed is None
        noise += [message.payload for message in federation.ledger.messages if message.kind == "verdict"]
    cells = np.array(noise)
    assert cells.shape == (len(owners) * len(SEEDS), card.size)
    assert np.array_equal(cells, np.rint(cells))
    # Between 400 and 1600 cells: twice the charged epsilon would give a quarter of the square or less.
    ratio = np.mean(cells**2) / geometric_sd(amount, card.l1) ** 2
    assert 0.6 < ratio < 1.6
    assert abs(np.mean(cells)) < 5 * geometric_sd(amount, card.l1) / cells.size**0.5
