"""The five lines of the README reach an AUC of .98 within their budget, on rows that no training has seen."""

import pandas as pd
import pytest

import fedlab_nb as fl


@pytest.mark.parametrize("noise_seed", range(4))
def test_the_first_five_lines_reach_auc_98_whatever_the_noise(noise_seed):
    owners = fl.split_rows(fl.data.breast_cancer(), owners=5, skew=0.5)
    budget = fl.Budget(epsilon=8, delta=1e-3)
    fed = fl.Federation(owners, encrypt=fl.CKKS(), budget=budget, noise_seed=noise_seed)
    strategy = fl.FedAvg(fl.models.mlp())
    history = fl.History(fl.rounds(fed, strategy, num_rounds=20))
    parts = [owner._inside(lambda rows: rows.held_out, stage="test") for owner in owners]
    held_out = pd.concat([features.assign(diagnosis=target) for features, target in parts])
    exact = strategy.model_of(history[-1].state).evaluate(held_out)
    assert exact["auc"] >= 0.99
    assert history[-1].metrics["auc"] == pytest.approx(exact["auc"], abs=0.025)
    assert history[-1].metrics["accuracy"] == pytest.approx(exact["accuracy"], abs=0.05)
