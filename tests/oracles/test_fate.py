"""FATE's own split of the breast-cancer data: what a federation reaches against one table in one place."""

from pathlib import Path

import pandas as pd
import pytest

import fedlab_nb as fl
from tests.rounds.common import play

FATE = Path(__file__).resolve().parents[3] / "shared" / "data" / "fate"


@pytest.mark.skipif(not (FATE / "breast_homo_guest.csv").is_file(), reason="FATE's breast_homo files are not here")
def test_two_owners_reach_the_auc_of_logistic_regression_on_all_rows():
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    files = (FATE / f"breast_homo_{name}.csv" for name in ("guest", "host", "test"))
    guest, host, test = (pd.read_csv(file).drop(columns="id") for file in files)
    rows = pd.concat([guest, host])
    pooled = LogisticRegression(max_iter=5000).fit(rows.drop(columns="y"), rows["y"])
    reference = roc_auc_score(test["y"], pooled.decision_function(test.drop(columns="y")))
    assert reference == pytest.approx(0.9873, abs=1e-4)

    # FATE brings a test file, so that nobody holds rows out; all settings are the usual ones.
    owners = [fl.DataOwner(n, f, target="y", held_out=0.0) for n, f in (("guest", guest), ("host", host))]
    federation = fl.Federation(owners, encrypt=fl.CKKS())
    strategy = fl.FedAvg(fl.models.logistic(), lr=0.1, local_epochs=2, batch_size=16)
    history = play(federation, strategy, num_rounds=20)
    reached = strategy.model_of(history[-1].state).evaluate(test)["auc"]
    print(f"AUC on FATE's test rows: {reached:.4f} in 20 encrypted rounds, {reference:.4f} pooled")  # noqa: T201
    assert abs(reached - reference) < 1e-3
