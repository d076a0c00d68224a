"""Any value of a run comes back from the disk as it was, bit for bit, and no code is stored or run."""

import json
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fedlab_nb as fl
from fedlab_nb import errors
from fedlab_nb.data.encoding import CategoryCode, Encoding, NumberCode
from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.privacy import NoisePlan
from fedlab_nb.records import Failure, State
from fedlab_nb.records.kept import put_together, taken_apart
from tests.checkpoint.common import same_bits
from tests.rounds.common import assert_teaches, cells


@dataclass(frozen=True)
class Mine:
    """A context of a user's own."""

    name: str
    sizes: tuple[int, ...] = ()
    weights: np.ndarray = field(default_factory=lambda: np.zeros(2))


def there_and_back(value):
    """As the disk would give it: through JSON text, and with arrays of their own."""
    plain, arrays = taken_apart(value)
    return put_together(json.loads(json.dumps(plain)), {name: array.copy() for name, array in arrays.items()})


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
DTYPES = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.int8, np.uint32, np.bool_])
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["tuple", "array", "class", "map"]), inner, max_size=3)
        | st.dictionaries(st.integers() | st.tuples(st.integers(), st.text(max_size=2)), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_plain_values_come_back_equal_and_of_the_same_kind(value):
    back = there_and_back(value)
    assert back == value
    assert repr(back) == repr(value), "-0.0, True and 1, lists and tuples are told apart"


@given(DTYPES.flatmap(lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))))
def test_arrays_keep_every_bit(array):
    back = there_and_back({"a": [array, array[..., None].T]})["a"]
    assert same_bits(back[0], array)
    assert same_bits(back[1], np.array(array[..., None].T))
    assert back[0].flags.writeable


def test_floats_that_are_no_numbers_come_back():
    back = there_and_back([math.nan, math.inf, -math.inf, -0.0])
    assert repr(back) == "[nan, inf, -inf, -0.0]"


def test_numbers_of_numpy_and_other_byte_orders_come_back_as_numbers():
    back = there_and_back((np.float32(0.1), np.int64(3), np.bool_(True), np.arange(3, dtype=">f8")))
    assert [type(v) for v in back[:3]] == [np.float32, np.int64, np.bool_]
    assert back[:3] == (np.float32(0.1), 3, True)
    assert back[3].tolist() == [0.0, 1.0, 2.0]


def test_dataclasses_of_the_package_and_of_a_users_own_come_back():
    target = CategoryCode("y", ("no", "yes", 3, 2.5, True))
    encoding = Encoding((NumberCode("a", 0.1 + 0.2, 1 / 3, -math.inf, 1e300, indicator=True), target), target)
    setup = Setup(encoding, cells()[0].schema, ("A", "B"), NoisePlan("row", 1.1), 12.5, 7)
    assert there_and_back(setup) == setup
    mine = there_and_back(Mine("x", (1, 2), np.arange(3.0)))
    assert (type(mine), mine.name, mine.sizes, mine.weights.tolist()) == (Mine, "x", (1, 2), [0.0, 1.0, 2.0])
    state = State({"server": np.arange(3.0), "owner": np.zeros(0)}, {"clip": np.array(1.5), "n": np.arange(2)}, mine)
    back = there_and_back(state)
    assert back.memory["clip"].shape == ()
    assert back.context.name == "x"


@pytest.mark.parametrize(
    "kind", [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, FedLabError)]
)
def test_errors_come_back_with_their_clauses(kind):
    words = ("Owner 1", "update", "What.", "Why.", "Do.") if kind is errors.RoundError else ("What.", "Why.", "Do.")
    failure = there_and_back(Failure("Owner 1", "update", kind(*words)))
    assert type(failure.error) is kind
    assert (failure.error.what, failure.error.why, failure.error.do) == ("What.", "Why.", "Do.")
    assert str(failure) == "Owner 1, update: What. Why. Do."


def test_errors_of_other_kinds_come_back_as_words():
    class MyError(FedLabError):
        pass

    assert there_and_back(MyError("What.", "Why.", "Do.")).what == "What."
    assert "ZeroDivisionError: by zero" in str(there_and_back(ZeroDivisionError("by zero")))


def local_class():
    @dataclass
    class Inside:
        x: int = 1

    return Inside()


@pytest.mark.parametrize(
    "value",
    [lambda: 1, object(), np.array(["a"]), np.array([1j]), np.array([None]), {1, 2}, b"bytes", Mine, local_class()],
    ids=["function", "object", "texts", "complex", "objects", "set", "bytes", "class", "local class"],
)
def test_what_would_need_code_is_refused_with_the_place_where_it_is(value):
    with pytest.raises(SettingError) as caught:
        taken_apart({"state": {"memory": [0, value]}})
    assert_teaches(caught, "state > memory > 1")


def test_a_class_that_is_not_there_or_has_changed_is_named_and_none_but_dataclasses_are_made():
    plain, _ = taken_apart(Mine("x", (), np.zeros(1)))
    for name in ("tests.checkpoint.test_values:Gone", "os:system", "fedlab_nb.ledger:Ledger", "fedlab_nb.no:No", "os:"):
        with pytest.raises(SettingError) as caught:
            put_together({**plain, "class": name}, {"weights": np.zeros(1)})
        assert_teaches(caught, name.partition(":")[0])
    with pytest.raises(SettingError) as caught:
        put_together({"class": plain["class"], "fields": {"name": "x", "colour": "red"}}, {})
    assert_teaches(caught, "Mine", "other fields")


def test_a_round_comes_back_whole():
    record = fl.History(fl.rounds(fl.Federation(cells()), fl.FedAvg(fl.models.logistic()), num_rounds=1))[0]
    back = there_and_back(record)
    assert repr(back) == repr(record)
    assert back.row() == record.row()
    assert back.state.context == record.state.context
    assert (back.spread, back.sent) == (record.spread, record.sent)
