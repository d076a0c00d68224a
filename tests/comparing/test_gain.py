"""What learning together brings: three models of the same algorithm, and who has to agree to be compared with."""

import dataclasses

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.comparing.gain import Gain
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.records import History
from tests.rounds.common import assert_teaches
from tests.vertical.common import federation, owners

STRATEGY = fl.vertical.LogisticRegression("bank")


@pytest.fixture(scope="module")
def found():
    fed = federation(owners(parties=3))
    return fed, fl.gain(fed, STRATEGY, num_rounds=4, consent=["bank", "shop", "post"])


def test_federated_scores_are_those_of_the_run_and_lose_nothing_against_pooled_columns(found):
    fed, gain = found
    assert list(gain.scores) == ["bank alone", "federated", "pooled"]
    assert gain.scores["federated"] == dict(gain.history[-1].metrics)
    assert gain.apart < 1e-4
    assert gain.verdict.startswith("Lossless")
    assert gain.gained == gain.scores["federated"]["auc"] - gain.scores["bank alone"]["auc"]
    assert gain.scores["pooled"]["loss"] == pytest.approx(gain.scores["federated"]["loss"], abs=1e-4)
    assert list(gain.frame().columns) == list(gain.scores["federated"])
    assert "Lossless" in gain._repr_html_()
    assert fed.ledger.verify()


def test_columns_are_pooled_by_consent_only_and_the_ledger_says_so(found):
    fed, _ = found
    crossed = [(m.sender, m.receiver) for m in fed.ledger.messages if m.kind == "columns, given with consent"]
    assert set(crossed) == {("shop", "bank"), ("post", "bank")}
    other = federation(owners())
    gain = fl.gain(other, STRATEGY, num_rounds=2)
    assert not [m for m in other.ledger.messages if "consent" in m.kind]
    assert gain.apart is None
    assert "consent" in gain.verdict
    assert "pooled" not in gain.scores


def test_what_alone_means_is_the_label_owners_columns_and_no_other(found):
    _, gain = found
    with_shop = fl.gain(federation(owners(parties=3)), STRATEGY, num_rounds=4)
    assert with_shop.scores["bank alone"] == gain.scores["bank alone"]


OTHERS = [
    fl.vertical.SplitNN("bank", cut=1),
    fl.vertical.SecureBoost("bank", depth=2, bins=8),
    fl.vertical.LogisticRegression("bank", batch_size=60),
]


@pytest.mark.parametrize("strategy", OTHERS)
def test_every_strategy_loses_nothing_against_pooled_columns(strategy):
    fed = federation(owners(parties=3))
    gain = fl.gain(fed, strategy, num_rounds=2, consent=fed.names)
    assert gain.apart < 1e-4
    assert set(gain.scores) == {"bank alone", "federated", "pooled"}


def test_a_protocol_that_loses_something_is_told_so():
    worse = Gain({"a alone": {"auc": 0.7}, "federated": {"auc": 0.79}, "pooled": {"auc": 0.8}}, History([]), 0.4)
    assert worse.verdict.startswith("Not lossless: AUC is 0.010 worse than with pooled columns")
    numbers = {"a alone": {"rmse": 3.0}, "federated": {"rmse": 2.0}, "pooled": {"rmse": 1.5}}
    assert Gain(numbers, History([]), 0.4).gained == 1.0
    assert "worse" in Gain(numbers, History([]), 0.4).verdict
    assert "better" in dataclasses.replace(worse, scores={**worse.scores, "pooled": {"auc": 0.7}}).verdict


def test_nobody_is_pooled_without_being_asked():
    fed = federation(owners(parties=3))
    for consent, named in ((["bank"], "shop, post"), (["bank", "shop", "post", "mill"], "mill")):
        with pytest.raises(RuleError) as caught:
            fl.gain(fed, STRATEGY, consent=consent)
        assert_teaches(caught, named)
    assert not len(fed.ledger)


def test_what_has_no_plain_form_is_refused():
    with pytest.raises(RuleError) as caught:
        fl.gain(federation(owners()), fl.FedAvg(fl.models.logistic()))
    assert_teaches(caught, "FedAvg", "fl.compare")
    with pytest.raises(RuleError) as caught:
        fl.gain(federation(owners()), fl.vertical.SecureBoost("bank", patience=2))
    assert_teaches(caught, "patience=2")
    with pytest.raises(SettingError) as caught:
        fl.gain([1], STRATEGY)
    assert_teaches(caught, "list")
    held = [fl.DataOwner("a", _frame(2, True), target="y", id="id", held_out=0.0),
            fl.DataOwner("b", _frame(3, False), id="id", held_out=0.0)]  # fmt: skip
    with pytest.raises(SettingError) as caught:
        fl.gain(federation(held), fl.vertical.LogisticRegression("a"), num_rounds=1)
    assert_teaches(caught, "held out")


def _frame(columns, labelled):
    import pandas as pd

    rng = np.random.default_rng(columns)
    frame = pd.DataFrame(rng.standard_normal((40, columns)), columns=[f"{labelled}{i}" for i in range(columns)])
    frame["id"] = rng.permutation(40)
    return frame.assign(y=np.where(rng.random(40) < 0.5, "yes", "no")) if labelled else frame
