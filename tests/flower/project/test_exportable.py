"""What Flower cannot run in this version is refused with its reason, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError, RuleError, SettingError
from fedlab_nb.flower.project import check_exportable, export
from fedlab_nb.parties.house import House
from tests.flower.project.common import federation, frame

MODEL = fl.models.logistic()


class Alien:
    """A strategy that averages nothing."""

    def check(self, *_, **__):
        """Nothing to refuse."""

    start = step = check


@pytest.mark.parametrize(
    ("house", "strategy", "said"),
    [
        (House(), Alien(), "of type Alien"),
        (House(), "FedAvg", "of type str"),
        (House(encrypt=fl.CKKS()), fl.FedAvg(MODEL, aggregate=fl.aggregate.Median()), "needs single updates"),
    ],
    ids=["alien", "text", "matrix"],
)
def test_what_cannot_run_there_is_refused(house: House, strategy: object, said: str) -> None:
    with pytest.raises(FedLabError, match=said) as caught:
        check_exportable(house, strategy)
    assert isinstance(caught.value, SettingError | RuleError)
    assert caught.value.why
    assert caught.value.do


def test_all_others_may_go() -> None:
    settings = [House(), House(encrypt=fl.CKKS()), House(encrypt=fl.SecAgg()), House(protect=fl.OwnerLevelDP(clip=1.0))]
    names = [name for name in fl.horizontal.__all__ if isinstance(getattr(fl.horizontal, name), type)]
    made = [getattr(fl.horizontal, name)(MODEL) for name in names if name not in ("AFL", "FedRep", "FedPer")]
    assert len(made) > 8
    for strategy in made:
        check_exportable(House(), strategy)
    settings.append(House(protect=fl.RowLevelDP(row_rate=0.2, frozen=True)))
    for house in settings:
        check_exportable(house, fl.FedAvg(MODEL))
    check_exportable(House(), fl.FedAvg(MODEL, aggregate=fl.aggregate.FLTrust(frame(5))))


def test_a_strategy_for_equal_columns_is_refused_to_owners_of_different_ones(tmp_path: Path) -> None:
    rows = frame().reset_index(names="customer")
    bank = fl.DataOwner("Bank", rows[["customer", "mean_radius", "diagnosis"]], target="diagnosis", id="customer")
    shop = fl.DataOwner("Shop", rows[["customer", "mean_texture"]], id="customer")
    with pytest.raises(RuleError, match="FedAvg needs owners with the same columns"):
        export(fl.Federation([bank, shop]), fl.FedAvg(MODEL), tmp_path / "lab")


@pytest.mark.parametrize("given", [fl.FedAvg, fl.vertical.SecureBoost, fl.vertical.JointPrediction])
@pytest.mark.parametrize("parties", [["Bank", "Shop"], federation()], ids=["names", "federation"])
def test_a_class_is_nothing_to_export(given: type, parties: object, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"The class {given.__name__} was given") as caught:
        export(parties, given, tmp_path / "lab")
    assert f"{given.__name__}(...)" in caught.value.do
    assert not (tmp_path / "lab").exists()


def test_what_the_strategy_itself_refuses_is_refused_here(tmp_path: Path) -> None:
    with pytest.raises(FedLabError, match="lr"):
        export(federation(), fl.FedAvg(MODEL, lr=-1.0), tmp_path / "lab")
    assert not (tmp_path / "lab").exists()
