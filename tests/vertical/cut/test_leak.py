"""From the gradients that an owner gets, and nothing else, rows fall into groups by label; defences blur that."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.vertical.cut import LabelDP, Marvell, MaxNormNoise, label_leak
from fedlab_nb.vertical.cut.leak import directions, gradients_seen, lengths
from tests.vertical.cut.common import SplitNN, breast, federated, owners, people, run

ROUNDS = 4


def leaks(defence=None, rounds=ROUNDS):
    """What the shop could tell in each round, over few sick among many."""
    fed = federated(breast(), noise_seed=1)
    return [label_leak(fed, record) for record in run(fed, SplitNN("bank", defence=defence), rounds)]


@pytest.fixture(scope="module")
def bare():
    return leaks()


def test_without_a_defence_directions_tell_every_label_from_the_first_round_on(bare):
    assert min(leak.cosine for leak in bare) > 0.99
    assert min(leak.norm for leak in bare) > 0.6
    assert {leak.party for leak in bare} == {"shop"}
    assert "1.000" in repr(bare[-1]) or "0.99" in repr(bare[-1])
    assert "the other one had no label" in bare[-1]._repr_html_()


@pytest.mark.parametrize(("defence", "less"), [(MaxNormNoise(), 0.1), (Marvell(4.0), 0.25)])
def test_noise_blurs_directions_and_lengths(bare, defence, less):
    found = leaks(defence)
    assert np.mean([leak.cosine for leak in found]) < np.mean([leak.cosine for leak in bare]) - less
    assert np.mean([leak.norm for leak in found]) < np.mean([leak.norm for leak in bare]) - 0.25


def test_more_of_marvells_noise_leaks_less():
    little, much = (np.mean([leak.cosine for leak in leaks(Marvell(power))]) for power in (0.05, 16.0))
    assert much < little - 0.15


def test_under_randomised_response_true_labels_are_known_as_well_as_they_were_told():
    found = leaks(LabelDP(1.0))
    assert np.mean([leak.cosine for leak in found]) < 0.85
    assert np.mean([leak.cosine for leak in leaks(LabelDP(20.0))]) > 0.99, "hardly any label changes"


def test_the_attack_needs_the_view_of_that_party_alone():
    fed = federated(breast())
    record = run(fed, rounds=1)[0]
    rows = record.state.context.rows
    seen = gradients_seen(fed.seen_by("shop"), 1, rows)
    assert seen.shape == (rows, 8)
    got = [m for m in fed.seen_by("shop") if m.kind == "activation gradients"]
    np.testing.assert_array_equal(seen, np.concatenate([len(m.payload) * m.payload for m in got]))
    before = len(fed.ledger)
    label_leak(fed, record)
    told = fed.ledger.messages[before:]
    assert [(m.sender, m.receiver, m.kind, m.payload.shape) for m in told] == [("bank", "server", "label leak", (2,))]


def test_scores_are_lengths_and_directions():
    gradients = np.array([[3.0, 4.0], [-0.3, -0.4], [-6.0, -8.0], [0.0, 0.0]])
    np.testing.assert_allclose(lengths(gradients), [5.0, 0.5, 10.0, 0.0])
    np.testing.assert_allclose(directions(gradients), [1.0, -1.0, -1.0, 0.0], atol=1e-12)


def test_of_two_runs_it_is_the_newest_that_is_looked_at():
    fed = federated(breast(), noise_seed=1)
    run(fed, SplitNN("bank", defence=Marvell(100.0)), 1)
    assert label_leak(fed, run(fed, rounds=1)[0]).cosine > 0.99


def test_any_owner_without_labels_can_look():
    fed = federated(owners(parties=3))
    record = run(fed, rounds=1)[0]
    assert label_leak(fed, record, "post").party == "post"
    assert label_leak(fed, record).party == "shop"


def test_what_it_cannot_be_asked_is_refused():
    fed = federated(breast())
    record = run(fed, rounds=1)[0]
    for party in ("bank", "server"):
        with pytest.raises(SettingError, match="not of all"):
            label_leak(fed, record, party)
    other = federated(fl.split_columns(people(), id="customer", target="sector", bank=["income", "age", "sector"],
                                       shop=["visits", "spent", "region"]))  # fmt: skip
    with pytest.raises(RuleError, match="two classes"):
        label_leak(other, run(other, rounds=1)[0])
    plain = fl.Federation(fl.split_rows(fl.data.breast_cancer(), owners=3))
    first = next(iter(fl.rounds(plain, fl.FedAvg(fl.models.logistic()), num_rounds=1)))
    with pytest.raises(SettingError, match="not one of a vertical run"):
        label_leak(plain, first)
