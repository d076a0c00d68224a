"""What the doctor foretells is what happens: the run itself is the oracle."""

import random

import numpy as np
import pytest
import torch

import fedlab_nb as fl
from fedlab_nb.checkup.plan import planned
from fedlab_nb.checkup.twin import footprint
from fedlab_nb.errors import BudgetExceededError, RuleError, SettingError
from fedlab_nb.ledger import KEPT_BYTES
from fedlab_nb.parties import DataOwner
from fedlab_nb.privacy.vault import home
from tests.rounds.common import bits, cells, declared, ledgers_of, logistic, play
from tests.rounds.test_rounds import Moody

BUDGET = fl.Budget(epsilon=8, delta=1e-3)
HOUSES = {
    "in the clear, no mechanism": {},
    "encrypted, no mechanism": {"encrypt": fl.CKKS()},
    "in the clear, rows": {"budget": BUDGET},
    "encrypted, rows": {"encrypt": fl.CKKS(), "budget": BUDGET},
    "encrypted, rows, no limit": {"encrypt": fl.CKKS(), "protect": fl.RowLevelDP(noise_multiplier=3.0)},
    "encrypted, owners": {"encrypt": fl.CKKS(), "protect": fl.OwnerLevelDP(), "budget": BUDGET},
    "rehearsal": {"protect": fl.RowLevelDP(noise_multiplier=3.0), "noise_seed": 1},
}
ROUNDS = 5


def clinics(owners=4, rows=80):
    """Owners with declared columns, and enough rows that every score can be computed at each of them."""
    return declared(owners, rows)


def foretold(federation, strategy=None, num_rounds=ROUNDS, rows=80):
    """What the doctor says of a run."""
    return planned(federation, strategy or logistic(), num_rounds, rows)


def flows(record):
    """Bytes of a round: as sent, and if all went in the clear."""
    flows = record.traffic.values()
    return sum(flow.nbytes for flow in flows), sum(flow.plain_nbytes for flow in flows)


def both(amount):
    return amount.sent, amount.plain


@pytest.mark.parametrize("house", HOUSES.values(), ids=HOUSES)
def test_the_bytes_of_every_round_are_foretold_exactly_where_all_columns_are_declared(house):
    federation = fl.Federation(clinics(), **house)
    cost = foretold(federation).cost
    first, *middle, last = play(federation, num_rounds=ROUNDS)
    assert [flows(record) for record in middle] == [both(cost.middle)] * (ROUNDS - 2)
    assert flows(last) == both(cost.last)
    # Beside all else it holds what only rows decide: where the columns have their middle, in decimal digits.
    assert both(cost.first) == pytest.approx(flows(first), rel=0.03)
    assert cost.whole.sent == cost.first.sent + (ROUNDS - 2) * cost.middle.sent + cost.last.sent


@pytest.mark.parametrize("scheme", [fl.CKKS(rounds_per_key=3), fl.CKKS("compact", rounds_per_key=3), fl.SecAgg()])
def test_the_bytes_of_fresh_keys_in_the_middle_of_a_run_are_foretold(scheme):
    federation = fl.Federation(clinics(), encrypt=scheme)
    cost = foretold(federation, num_rounds=10).cost
    history = play(federation, num_rounds=10)
    # Not exact: TenSEAL compresses public keys, which differ in size by 0.6 % (one standard deviation) from one to
    # the next; a key goes to every owner, so that nothing averages out.
    rest = sum(flows(record)[0] for record in history[1:])
    assert cost.whole.sent - cost.first.sent == pytest.approx(rest, abs=0.04 * cost.keys.sent)
    assert cost.keys.sent > 0.05 * rest or scheme == fl.SecAgg()


@pytest.mark.parametrize("num_rounds", [1, 2, 3])
def test_the_shortest_runs_are_foretold_too(num_rounds):
    federation = fl.Federation(clinics(), **HOUSES["encrypted, owners"])
    plan = foretold(federation, num_rounds=num_rounds)
    history = play(federation, num_rounds=num_rounds)
    assert plan.cost.whole.plain == pytest.approx(sum(flows(record)[1] for record in history), rel=1e-3)
    assert plan.outlook.epsilon == pytest.approx(history[-1].epsilon, rel=1e-9)


@pytest.mark.parametrize("house", [h for h in HOUSES.values() if "noise_seed" not in h and (h.keys() - {"encrypt"})])
def test_the_epsilon_at_the_end_is_foretold_exactly_where_all_columns_are_declared(house):
    federation = fl.Federation(clinics(), **house)
    outlook = foretold(federation).outlook
    assert outlook.epsilon == pytest.approx(play(federation, num_rounds=ROUNDS)[-1].epsilon, rel=1e-9)
    assert outlook.left == (8 if federation.house.budget else None)
    assert outlook.rounds == (ROUNDS if federation.house.budget else None)


def test_what_was_spent_before_counts_in_what_is_left_and_at_the_end():
    owners = clinics()
    play(fl.Federation(owners, protect=fl.RowLevelDP(noise_multiplier=4.0)), num_rounds=2)
    federation = fl.Federation(owners, budget=BUDGET, encrypt=fl.CKKS())
    outlook = foretold(federation).outlook
    assert 0 < outlook.left < 8
    assert outlook.left == pytest.approx(8 - federation.epsilon(), rel=1e-9)
    assert outlook.epsilon == pytest.approx(play(federation, num_rounds=ROUNDS)[-1].epsilon, rel=1e-9)


def test_rounds_that_a_budget_does_not_allow_are_foretold():
    settings = {"protect": fl.RowLevelDP(noise_multiplier=1.5), "budget": fl.Budget(4, 1e-3)}
    federation = fl.Federation(clinics(), **settings)
    plan = foretold(federation, num_rounds=20)
    assert plan.cost is not None
    assert plan.outlook.epsilon > 4
    assert 1 < plan.outlook.rounds < 20
    assert len(play(federation, num_rounds=20).completed) == plan.outlook.rounds


def test_with_some_owners_a_round_the_sum_over_all_rounds_is_foretold():
    federation = fl.Federation(clinics(12), sample_rate=0.5, dropout=0.2)
    plan = foretold(federation, num_rounds=30)
    history = play(federation, num_rounds=30)
    assert min(len(record.cohort) for record in history) > 0
    assert len({len(record.cohort) for record in history}) > 2
    middle = sum(flows(record)[0] for record in history[1:-1])
    assert plan.cost.middle.sent * 28 == pytest.approx(middle, rel=1e-9)
    assert plan.sampled


def test_epsilon_with_some_owners_a_round_is_foretold_as_the_most_it_can_be():
    federation = fl.Federation(clinics(), sample_rate=0.5, budget=BUDGET)
    outlook = foretold(federation, num_rounds=10).outlook
    assert play(federation, num_rounds=10)[-1].epsilon <= outlook.epsilon * (1 + 1e-9)


@pytest.mark.parametrize("house", [HOUSES["encrypted, rows"], HOUSES["encrypted, no mechanism"]])
def test_a_visit_asks_real_rows_nothing_and_leaves_everything_as_it_was(house, monkeypatch):
    owners = cells()
    federation = fl.Federation(owners, **house)
    asked = []
    door = DataOwner._inside
    monkeypatch.setattr(DataOwner, "_inside", lambda self, *a, **k: asked.append(self) or door(self, *a, **k))
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert foretold(federation, rows=300).cost is not None
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before  # noqa: NPY002
    assert asked
    assert not {id(owner) for owner in asked} & {id(owner) for owner in owners}
    assert len(federation.ledger) == 0
    assert ledgers_of(federation) == [[], [], []]
    assert not any(account.releases for account in home._MEMORY._accounts.values())
    assert federation.fingerprint == ""


def test_a_run_after_a_visit_is_the_run_without_one():
    visited, other = fl.Federation(cells(), noise_seed=3), fl.Federation(cells(), noise_seed=3)
    foretold(visited)
    assert bits(play(visited)) == bits(play(other))


def test_a_second_visit_foretells_the_same():
    federation = fl.Federation(clinics(), budget=BUDGET)
    first, second = foretold(federation), foretold(federation)
    assert first.outlook == second.outlook
    assert both(first.cost.middle) == both(second.cost.middle)
    assert both(first.cost.last) == both(second.cost.last)


def test_a_run_that_would_be_refused_is_told_in_its_three_clauses():
    federation = fl.Federation(clinics(), budget=BUDGET)
    plan = foretold(federation, logistic(local_epochs=3))
    assert isinstance(plan.refused, RuleError)
    assert plan.cost is None
    play(federation, num_rounds=2)
    spent = foretold(fl.Federation(clinics(), budget=BUDGET))
    assert isinstance(spent.refused, BudgetExceededError)
    assert isinstance(foretold(federation, num_rounds=0).refused, SettingError)


def test_a_twin_that_fails_is_told():
    model = Moody()
    model.mood = lambda x: x * float("nan")
    plan = foretold(fl.Federation(cells()), fl.FedAvg(model))
    assert plan.cost is None
    assert "In round 1" in plan.broken
    assert "not finite" in plan.broken


def test_an_error_of_a_strategy_is_told_with_its_text():
    class Careless(fl.FedAvg):
        def step(self, *args, **kwargs):
            message = "a list index out of range"
            raise IndexError(message)

    plan = foretold(fl.Federation(cells()), Careless(fl.models.logistic()))
    assert plan.broken == "IndexError: a list index out of range"


def test_columns_whose_categories_nobody_declared_are_named_as_a_guess():
    assert foretold(fl.Federation(cells())).guessed == ("diagnosis",)
    assert foretold(fl.Federation(clinics())).guessed == ()


def test_numbers_to_predict_stay_numbers_however_few_rows_are_invented():
    owners = [fl.DataOwner(f"Shop {i}", declared_frame(i), target="sold", bounds={"price": (0, 10)}) for i in range(3)]
    plan = foretold(fl.Federation(owners), rows=5)
    assert plan.broken == ""
    assert plan.guessed == ()


def declared_frame(seed):
    import pandas as pd

    rng = np.random.default_rng(seed)
    return pd.DataFrame({"price": rng.uniform(0, 10, 80), "sold": rng.integers(0, 1000, 80)})


@pytest.mark.parametrize("rows", [0, -5, 2.5])
def test_a_number_of_rows_that_cannot_be_is_refused(rows):
    with pytest.raises(SettingError):
        foretold(fl.Federation(clinics()), rows=rows)


def test_memory_is_what_the_rounds_leave_behind_at_least():
    federation = fl.Federation(clinics(), encrypt=fl.CKKS())
    cost = foretold(federation, num_rounds=50).cost
    history = play(federation, num_rounds=50)
    weights = sum(record.state.weights["server"].nbytes for record in history)
    assert cost.memory > min(cost.whole.sent, KEPT_BYTES) + weights
    assert cost.whole.kept > weights


def test_a_footprint_counts_everything_once():
    numbers = np.zeros(10_000)
    known: dict[int, object] = {}
    assert numbers.nbytes <= footprint([numbers, {"again": numbers}], known) < 1.1 * numbers.nbytes
    assert footprint(numbers, known) == 0
    assert footprint([numbers], known) < 200
    view = np.zeros(10_000)[:5]
    assert footprint(view, {}) > 80_000
