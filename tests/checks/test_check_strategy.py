"""Every strategy of ours passes, right ones of a user's own too, and a broken one is told what is wrong with it."""

from functools import cache

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb import aggregate, compress, horizontal
from fedlab_nb.checks import check_strategy
from fedlab_nb.contracts.trying.made_up import Village
from fedlab_nb.errors import RuleError, SettingError
from fedlab_nb.horizontal import (
    AFL,
    MOON,
    QFFL,
    SCAFFOLD,
    Ditto,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedBN,
    FedBuff,
    FedDyn,
    FedNova,
    FedPer,
    FedProx,
    FedRep,
    FedSGD,
    FedYogi,
    PerFedAvg,
    PFedMe,
)
from tests.checks.strategies import BROKEN, LOGISTIC, RIGHT, Descent, GlobalNumPy, KeepsFederation, Refuses, SeedsTorch

HIDDEN = fl.models.mlp(3)


def normed(inputs, outputs):
    import torch

    return torch.nn.Sequential(torch.nn.Linear(inputs, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, outputs))


OURS = [
    FedSGD(LOGISTIC),
    *(kind(LOGISTIC, local_epochs=1) for kind in (FedAvg, FedAvgM, FedAdagrad, FedAdam, FedYogi)),
    *(
        kind(LOGISTIC, local_epochs=1)
        for kind in (FedProx, SCAFFOLD, FedNova, FedDyn, AFL, QFFL, FedBuff, Ditto, PFedMe)
    ),
    *(kind(HIDDEN, local_epochs=1) for kind in (MOON, FedPer, PerFedAvg)),
    FedRep(HIDDEN, local_epochs=1, head_epochs=2),
    FedBN(normed, local_epochs=1),
    FedAvg(LOGISTIC, aggregate=aggregate.Median()),
    FedAvg(LOGISTIC, compress=compress.TopK(0.3)),
    FedAvg(LOGISTIC, compress=compress.RandomK(0.3)),
]
PLAIN_ONLY = ("AFL", "Median", "TopK")


@cache
def report_on(i):
    """The report on one of the broken ones; several laws look at the same one."""
    return check_strategy(BROKEN[i][0])


FIRST = {}
for _i, _case in enumerate(BROKEN):
    FIRST.setdefault(type(_case[0]) if not isinstance(_case[0], type) else _case[0], _i)


@pytest.mark.parametrize("strategy", OURS, ids=lambda strategy: repr(strategy).partition(" at 0x")[0])
def test_every_strategy_of_ours_keeps_every_law(strategy):
    report = check_strategy(strategy)
    assert str(report.faults) == "()"
    report.raise_if_wrong()
    apart = ("Encrypted sums give the weights that open ones give.",)
    assert report.untried == (apart if any(word in repr(strategy) for word in PLAIN_ONLY) else ())


def test_none_of_ours_is_left_out():
    assert {type(strategy).__name__ for strategy in OURS} == set(horizontal.__all__)


@pytest.mark.parametrize("strategy", RIGHT, ids=lambda s: type(s).__name__)
def test_right_strategies_of_a_users_own_pass(strategy):
    assert str(check_strategy(strategy).faults) == "()"


@pytest.mark.parametrize("i", range(len(BROKEN)), ids=lambda i: f"{type(BROKEN[i][0]).__name__} {BROKEN[i][1]}")
def test_a_broken_strategy_is_told_what_is_wrong(i):
    strategy, law, found, do = BROKEN[i]
    report = report_on(FIRST[type(strategy) if not isinstance(strategy, type) else strategy])
    faults = [fault for fault in report.faults if law in fault.law]
    assert len(faults) == 1, str(report)
    assert found in faults[0].what
    assert do in faults[0].do
    assert not report.right


def test_a_first_fault_is_raised_in_words():
    with pytest.raises(SettingError, match="it refused: It has 6 owners") as caught:
        check_strategy(Refuses()).raise_if_wrong()
    assert "The law is: It has known needs and the verbs" in caught.value.why


def test_what_a_federation_has_owners_are_made_up_with_and_its_own_are_asked_nothing():
    class Picky(Descent):
        def check(self, federation, num_rounds, *, seed=0, after=None):
            seen.append((federation.names, federation.schema))

    seen = []
    owners = fl.split_rows(fl.data.iris(), owners=4)
    federation = fl.Federation(owners, encrypt=fl.CKKS())
    report = check_strategy(Picky(), federation)
    assert seen
    assert all(names == federation.names for names, _ in seen)
    assert all(schema.features == federation.schema.features for _, schema in seen)
    assert len(federation.ledger) == 0
    assert len(report.held) > 10


def test_a_strategy_of_more_owners_is_checked_with_more():
    strategy = FedAvg(LOGISTIC, aggregate=aggregate.Median(), groups=5)
    few = check_strategy(strategy)
    assert "10 owners or more are needed" in few.faults[0].do
    assert "check_strategy(strategy, federation)" in few.faults[0].do
    federation = fl.Federation(fl.split_rows(fl.data.iris(), owners=10))
    report = check_strategy(strategy, federation)
    assert str(report.faults) == "()"
    assert report.untried == ("The order of a round's owners does not matter.",)


@pytest.mark.parametrize("federation", ["six owners", 6, fl.FedAvg(LOGISTIC)])
def test_what_is_no_federation_is_refused(federation):
    with pytest.raises(SettingError, match="The federation is "):
        check_strategy(Descent(), federation)


@pytest.mark.parametrize("kind", [GlobalNumPy, SeedsTorch])
def test_shared_generators_are_as_before_even_where_a_strategy_moves_them(kind):
    import torch

    def states():
        return np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()  # noqa: NPY002

    before = states()
    assert not check_strategy(kind()).right
    assert states() == before


def test_the_strategy_itself_stays_as_it_is():
    strategy = KeepsFederation()
    check_strategy(strategy)
    assert vars(strategy) == {}


def test_owners_without_declarations_have_a_marked_cell_where_rows_are_trained_on():
    from fedlab_nb.contracts.trying.made_up import MARK, Door

    column, value = Village.like(None).mark
    assert value == MARK
    for owner in Village.like(None).owners(Door(asking=1)):
        assert owner._inside(lambda rows: (rows.training[0][column] == MARK).sum(), stage="test") > 0
        assert not owner.trains_on_nothing
    assert Village.like(None).without_rows(Door(asking=1)).trains_on_nothing


@pytest.mark.parametrize("with_federation", [False, True])
def test_a_strategy_for_different_columns_is_sent_to_what_measures_it(with_federation):
    import pandas as pd

    frame = pd.DataFrame({"x": [1.5, 2.5], "y": ["a", "b"], "z": [0.5, 0.1]})
    owners = fl.split_columns(frame, bank=["x", "y"], shop=["z"], target="y")
    federation = fl.Federation(owners) if with_federation else None
    for strategy in (fl.vertical.LogisticRegression("bank"), fl.vertical.SecureBoost("bank")):
        with pytest.raises(RuleError, match=r"different columns.*fl\.gain") as caught:
            check_strategy(strategy, federation)
        assert caught.value.what.startswith(type(strategy).__name__)
