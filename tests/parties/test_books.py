"""What binds an owner, what a release must state, and which questions are the same."""

import shutil

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError, RuleError, SettingError
from fedlab_nb.learn import Job, Learner, initial_weights
from fedlab_nb.learn.models import Layers
from fedlab_nb.records import PrivacyEvent, Update
from tests.rounds.common import assert_teaches, bits, cells, declared, forget, fresh_accounts, logistic, play, tumours  # noqa: F401

NOISY = PrivacyEvent(1, "a count", "training", "row", "gaussian", 5.0)


def count(federation, debits, *, noise_sd=5.0, weight=1.0, kind="count"):
    return federation.gather(
        kind,
        lambda *_: Update(np.ones(2), weight),
        number=federation.turn(),
        cohort=federation.names,
        bound=10.0,
        noise_sd=noise_sd,
        debits=dict.fromkeys(federation.names, debits),
    )


def test_an_owners_budget_and_the_federations_bind_both():
    rich, poor = fl.Budget(100.0, 1e-4), fl.Budget(1.0, 1e-5)
    tables = tumours().iloc[:200, [0, 1, 30]], tumours().iloc[200:400, [0, 1, 30]]
    frames = [table.astype({"diagnosis": str}) for table in tables]
    for own, federal in ((rich, poor), (poor, rich), (fl.Budget(1.0, 1e-4), fl.Budget(9.0, 1e-5))):
        owners = [fl.DataOwner(n, f, target="diagnosis", budget=own) for n, f in zip("AB", frames, strict=True)]
        federation = fl.Federation(owners, budget=federal)
        assert federation.books.binding("A", federation.house) == poor
        assert federation.delta == 1e-5
        with pytest.raises(BudgetExceededError):
            count(federation, [PrivacyEvent(1, "a count", "training", "row", "gaussian", 0.5)])


def test_what_is_debited_as_noisy_and_has_no_noise_is_refused():
    federation = fl.Federation(cells(), budget=fl.Budget(8.0, 1e-3))
    with pytest.raises(RuleError) as caught:
        count(federation, [NOISY], noise_sd=0.0)
    assert_teaches(caught, "noise_sd")
    with pytest.raises(RuleError) as caught:
        count(federation, [NOISY], noise_sd=np.array([5.0, 0.0]))
    assert_teaches(caught, "noise_sd")
    with pytest.raises(RuleError) as caught:
        count(federation, [NOISY], weight=7.0)
    assert_teaches(caught, "weight")
    assert federation.epsilon() == 0.0
    assert count(federation, [NOISY]).weight == 3.0


def test_an_answer_of_which_nothing_is_stated_counts_as_not_protected():
    federation = fl.Federation(cells(), budget=fl.Budget(8.0, 1e-3))
    federation.hear("rows", lambda *_: "all of them", number=1, debits=dict.fromkeys(federation.names, ()))
    assert federation.epsilon() is None
    assert [event.mechanism for event, _ in federation.account("Owner 1").counts] == ["none"]


def test_only_known_strategies_and_models_are_answered_from_what_was_kept():
    class Flipped(fl.FedAvg):
        pass

    class Other(Layers):
        pass

    budget = fl.Budget(8.0, 1e-3)
    first = fl.Federation(cells(), budget=budget)
    assert logistic().asked(3, 0)
    assert not Flipped(fl.models.logistic()).asked(3, 0)
    assert not fl.FedAvg(Other()).asked(3, 0)
    history = play(first)
    again = fl.Federation(cells(), budget=budget)
    assert bits(play(again)) == bits(history)
    assert again.books.reused > 5


def test_a_stored_plan_is_for_the_budgets_that_it_was_made_for():
    forget()
    owners = declared(3, 60)
    small = play(fl.Federation(owners, budget=fl.Budget(1.0, 1e-3)))[-1].epsilon
    large = play(fl.Federation(owners, budget=fl.Budget(8.0, 1e-3)))[-1].epsilon
    assert small == pytest.approx(1.0, rel=1e-3)
    assert large == pytest.approx(8.0, rel=1e-3)


def test_data_with_a_budget_in_a_file_is_not_asked_without_one(tmp_path):
    forget()
    owners = cells()
    fl.Federation(owners, budget=fl.Budget(2.0, 1e-3), vault=fl.Vault(tmp_path / "v"))
    for settings in ({}, {"budget": fl.Budget(2.0, 1e-3), "noise_seed": 1}):
        with pytest.raises(RuleError) as caught:
            fl.Federation(owners, **settings)
        assert_teaches(caught, "'v'", "epsilon 2")


def test_a_vault_is_a_vault():
    with pytest.raises(SettingError) as caught:
        fl.Federation(cells(), vault="budgets.vault")
    assert_teaches(caught, 'vault=fl.Vault("budgets.vault")')


def test_a_copy_of_the_main_file_alone_knows_what_was_spent(tmp_path):
    forget()
    federation = fl.Federation(cells(), budget=fl.Budget(2.0, 1e-3), vault=fl.Vault(tmp_path / "v"))
    count(federation, [NOISY])
    shutil.copy(tmp_path / "v", tmp_path / "copy")
    assert len(fl.Vault(tmp_path / "copy")) == len(federation.books.vault)


def test_one_row_moves_a_clipped_sum_by_the_clip_at_most_also_with_dropout():
    import torch
    from torch import nn

    def dropping(inputs, outputs):
        return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, outputs))

    rng, learner = np.random.default_rng(0), Learner(dropping, 4, 1, "binary")
    X, y = rng.normal(size=(30, 4)).astype(np.float32), (rng.random(30) < 0.5).astype(np.float32)
    weights = initial_weights(dropping, 4, 1, 0)

    def clipped(first, number):
        (total,) = learner.clipped([Job((0, number, 0), X[first:], y[first:], weights)], clip=0.1)
        return total

    whole, less = clipped(0, 3), clipped(1, 3)
    assert np.linalg.norm(whole - less) <= 0.1 * (1 + 1e-5)
    assert not np.allclose(whole, clipped(0, 4)), "each round drops others"
    assert torch.is_grad_enabled()
