"""Objects arrive with all that they keep, and nothing of theirs is called on the way."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError, FedLabError, PrivateDataError, RoundError, SettingError
from fedlab_nb.flower.codec import Allowed, encode
from fedlab_nb.ledger import Ledger
from fedlab_nb.records import PrivacyEvent, State, Update
from tests.flower.codec.common import (
    ALLOWED,
    Armed,
    Colour,
    Listed,
    LoudError,
    MineError,
    More,
    MyLedger,
    Plain,
    Settings,
    Slots,
    Spot,
    Tight,
    Watchful,
    sent,
)  # fmt: skip


def test_a_dataclass_keeps_fields_that_are_not_for_its_making():
    value = Settings(0.1, ("a", "b"))
    found = sent(value)
    assert (found, found.depth) == (value, 2)


def test_what_a_dataclass_can_compute_again_stays_behind():
    value = Settings(0.1)
    assert value.long.size == 10_000
    assert len(encode(value, ALLOWED)) < 300
    assert "long" not in vars(sent(value))
    assert sent(value).long.size == 10_000


def test_checks_of_a_constructor_are_not_run_again():
    value = Settings(0.1)
    object.__setattr__(value, "lr", -1.0)
    assert sent(value).lr == -1.0


def test_a_frozen_dataclass_with_slots_arrives():
    value = Tight(np.arange(3), Tight(1))
    found = sent(value)
    assert found.a.tolist() == [0, 1, 2]
    assert found.b == Tight(1)


def test_hidden_slots_of_every_class_arrive_and_empty_ones_stay_empty():
    found = sent(More("shown", "hidden", ["own"]))
    assert (found.shown, found.hidden, found.own, found.extra) == ("shown", "hidden", ["own"], {"own": ["own"]})
    assert found.extra["own"] is found.own
    assert not hasattr(found, "empty")
    assert type(sent(Slots(1, 2))) is Slots


def test_no_method_runs_when_an_object_is_made_of_a_message():
    Watchful.ran.clear()
    value = object.__new__(Watchful)
    vars(value)["a"] = 1
    assert vars(sent(value)) == {"a": 1}
    assert Watchful.ran == []


def test_objects_may_hold_each_other():
    a = Plain()
    b = Plain(other=a, both=(a, [a]))
    vars(a)["other"] = b
    found = sent(a)
    assert found.other.other is found
    assert found.other.both[1][0] is found


def test_named_tuples_and_values_of_enumerations_arrive():
    assert sent([Spot(1.5), Colour.RED, Colour.BLUE]) == [Spot(1.5), Colour.RED, Colour.BLUE]
    assert type(sent(Spot(1.5))) is Spot
    assert sent(Colour.BLUE) is Colour.BLUE


def test_records_of_the_package_arrive():
    state = State({"server": np.arange(3.0)}, {"m": np.ones(2)}, PrivacyEvent(1, "x", "training", "row", "none"))
    found = sent(state)
    assert found.weights["server"].tobytes() == state.weights["server"].tobytes()
    assert found.context == state.context
    assert sent(fl.FedAvg(fl.models.mlp(4), momentum=0.9)) == fl.FedAvg(fl.models.mlp(4), momentum=0.9)
    update = sent(Update(np.ones(2), 3.0))
    assert (update.mean * 3).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "error",
    [
        SettingError("a", "b", "c"),
        BudgetExceededError("a", "b", "c"),
        PrivateDataError("a", "b", "c"),
        RoundError("Owner 1", "update", "a", "b", "c"),
        LoudError("Owner 1", "update", "a", "b", "c"),
        MineError(7),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_keeps_its_class_and_words(error):
    found = sent(error)
    assert type(found) is type(error)
    assert (str(found), vars(found), found.args) == (str(error), vars(error), error.args)
    with pytest.raises(type(error)):
        raise found


def test_what_others_noted_on_an_error_and_where_it_came_from_stay_behind():
    error = SettingError("a", "b", "c")
    error.__cause__ = ValueError("row 17")
    error.add_note("age 54")
    data = encode(error)
    assert b"54" not in data
    assert b"17" not in data


def test_errors_of_others_are_refused_as_they_may_quote_rows():
    with pytest.raises(SettingError, match=r"builtins\.ValueError was to be sent"):
        encode(ValueError("age 54"))


KEPT_APART = {
    "ledger": Ledger,
    "one that has such a base": MyLedger,
    "one that runs code when it is let go": Armed,
    "budget": fl.Vault,
    "federation": fl.Federation,
    "owner": fl.DataOwner,
}


@pytest.mark.parametrize("name", KEPT_APART)
def test_what_holds_rows_keys_or_budgets_is_refused(name):
    value = object.__new__(KEPT_APART[name])
    with pytest.raises(SettingError, match=f"A {type(value).__name__}|A Ledger"):
        encode([value], ALLOWED)


def test_other_objects_are_refused_with_their_place():
    with pytest.raises(SettingError, match=r"Listed was to be sent \(at: list > Plain > tuple > Listed\)"):
        encode([Plain(a=(Listed(),))], ALLOWED)
    with pytest.raises(SettingError, match="belongs to the module 'pandas"):
        encode(fl.data.iris())
    with pytest.raises(SettingError, match="belongs to the module '_thread'"):
        encode({"lock": __import__("threading").Lock()})


def test_a_class_of_a_module_that_was_not_agreed_on_is_refused():
    with pytest.raises(SettingError, match=r"The class 'Plain' belongs to the module 'tests\.flower\.codec\.common'"):
        encode(Plain(), Allowed())


def test_a_class_of_a_notebook_cell_is_refused_with_what_to_do():
    mine = type("Mine", (), {"__module__": "__main__"})
    with pytest.raises(SettingError) as caught:
        encode(mine())
    assert caught.value.what.startswith("The class 'Mine' was defined in a notebook cell")
    assert "module of your app, such as task.py" in caught.value.do


def test_a_class_that_is_not_what_its_module_has_is_refused():
    twin = type("Plain", (), {"__module__": Plain.__module__})
    with pytest.raises(SettingError, match="There is no class 'Plain'"):
        encode(twin(), ALLOWED)


def test_a_value_in_place_of_a_method_is_refused():
    with pytest.raises(SettingError, match="A Plain keeps a value of its own under 'method'"):
        encode(Plain(method=1), ALLOWED)


def test_all_errors_of_the_package_arrive():
    from fedlab_nb import errors

    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, FedLabError) and cls is not RoundError:
            assert sent(cls("a", "b", "c")).do == "c"
