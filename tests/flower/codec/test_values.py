"""Values that arrive are the values that were sent: types, bits, order, and what is shared."""

import math
import struct
from types import MappingProxyType

import numpy as np
import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.codec import Allowed, Hooks, decode, encode
from tests.flower.codec.common import inside, same, sent

ODD = struct.unpack("<d", bytes.fromhex("efbeadde0000f87f"))[0]  # not a number, with bits of its own

PLAIN = {
    "nothing": None, "true": True, "false": False, "one": 1, "zero": 0, "most": 2**63 + 1, "very many": -(3**9000),
    "a third": 1 / 3, "minus zero": -0.0, "smallest": 5e-324, "infinity": math.inf, "minus infinity": -math.inf,
    "no number": math.nan, "odd no number": ODD, "imaginary": complex(-0.0, math.nan), "text": "ä\0\n\"\\ 名",
    "half a letter": "\ud800", "two halves": "\ud83d\ude00", "letter": "\U0001f600", "bytes": b"\x00\xff",
    "no bytes": b"",
    "slice": slice(1, None, -2), "range": range(3, 99, 7), "set": {1, "a", (2, None)}, "frozen": frozenset({b"x", 2.5}),
    "empty": [[], (), {}, set(), frozenset()], "nested": [({"a": [1, (2.5, None)]},)],
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_value_arrives_as_it_was(name):
    value = PLAIN[name]
    assert same(sent(value), value)
    assert same(sent([value, (value,)]), [value, (value,)])


def test_a_dictionary_keeps_its_order_and_any_keys():
    value = {"b": 1, 2: "x", (3, "c"): None, None: True, b"k": 1.5, 2.5: [], frozenset({1}): {}, "a": 0, True: 1}
    found = sent(value)
    assert list(found.items()) == list(value.items())
    assert [type(key) for key in found] == [type(key) for key in value]


def test_true_and_one_stay_apart():
    assert [type(part) for part in sent([True, 1, 1.0, np.True_, np.int64(1)])] == [
        bool, int, float, np.bool_, np.int64,
    ]  # fmt: skip


@pytest.mark.parametrize("code", "?bBhHiIlLqQefdgFD")
def test_an_array_keeps_type_shape_and_bits(code):
    raw = np.random.default_rng(0).integers(0, 2 if code == "?" else 100, 24)
    array = raw.astype(code).reshape(2, 3, 4)
    for one in (array, array[1, 1, 1:2].reshape(()), array[:0], array.astype(array.dtype.newbyteorder())):
        assert same(sent(one), one)
        assert sent(one).flags.writeable


def test_bits_that_are_no_number_stay_too():
    array = np.frombuffer(np.random.default_rng(1).bytes(8000), np.float64)
    assert sent(array).tobytes() == array.tobytes()
    assert not sent(array).flags.writeable  # as the one that was sent


@pytest.mark.parametrize("cut", ["[::2]", "[::-1]", "[:, 1:]", ".T", "[:, ::-1].T", "[1]", "[:, 1]"])
def test_an_array_that_lies_in_another_order_arrives(cut):
    array = eval("np.arange(20.0).reshape(4, 5)" + cut)
    found = sent(array)
    assert same(found, array)
    assert found.flags.f_contiguous == (array.flags.f_contiguous or not found.ndim > 1)


def test_an_array_in_the_order_of_columns_stays_so():
    array = np.asfortranarray(np.random.default_rng(0).normal(size=(50, 3)))
    assert sent(array).strides == array.strides


@pytest.mark.parametrize("number", [np.float32(1 / 3), np.float64("nan"), np.int8(-3), np.uint64(2**64 - 1), np.False_])
def test_a_number_of_numpys_keeps_its_type(number):
    assert same(sent(number), number)


def test_large_arrays_cross_beside_the_text():
    data = encode({"w": np.zeros(100_000)})
    assert len(data) < 800_000 + 300
    assert [kind for kind, *_ in inside(data)] == ["dict", "array"]


def test_what_is_one_object_stays_one_and_equal_ones_stay_two():
    shared, twin = {"kept": np.ones(2)}, {"kept": np.ones(2)}
    found = sent([shared, (shared, twin), shared["kept"]])
    assert found[0] is found[1][0] is not found[1][1]
    assert found[2] is found[0]["kept"]
    found[0]["new"] = 1
    assert "new" in found[1][0]


def test_a_list_and_a_dictionary_may_hold_themselves():
    ring, loop = [], {}
    ring += [ring, loop]
    loop["ring"] = (ring, loop)
    found = sent(ring)
    assert found[0] is found
    assert found[1]["ring"][0] is found
    assert found[1]["ring"][1] is found[1]


def test_a_view_of_a_dictionary_arrives_as_one():
    found = sent(MappingProxyType({"a": 1}))
    assert type(found) is MappingProxyType
    assert found == {"a": 1}


def test_the_same_value_gives_the_same_bytes():
    value = {"a": [1, 2.5, np.arange(3)], "b": ("x", None)}
    assert encode(value) == encode({"a": [1, 2.5, np.arange(3)], "b": ("x", None)})


def test_a_special_object_is_asked_for_first_and_made_once():
    class Special:
        pass

    one, made = Special(), []

    def make(inside):
        made.append(inside)
        return one

    hooks = Hooks(lambda v: ("it", {"from": [1, 2]}) if isinstance(v, Special) else None, {"it": make})
    found = decode(encode([one, (one,)], hooks=hooks), hooks=hooks)
    assert found == [one, (one,)]
    assert made == [{"from": [1, 2]}]


def test_a_repeated_blob_can_be_sent_by_name():
    blob = np.arange(10_000.0)
    hooks = Hooks(lambda v: ("blob", "weights") if v is blob else None, {"blob": {"weights": blob}.__getitem__})
    data = encode({"w": blob}, hooks=hooks)
    assert len(data) < 200
    assert decode(data, hooks=hooks)["w"] is blob


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([object()]), np.array([1], "M8[D]"), np.str_("a")])
def test_arrays_of_other_kinds_are_refused(value):
    with pytest.raises(SettingError, match=r"was to be sent \(at: dict > list > "):
        encode({"a": [value]})


def test_what_lies_too_deep_is_refused_where_it_is_sent():
    deep = []
    for _ in range(400):
        deep = [deep]
    with pytest.raises(SettingError, match="more than 400 deep inside each other, and no more are read"):
        encode(deep)
    assert sent(deep[0]) == deep[0]


def test_a_message_may_be_no_larger_than_its_reader_allows():
    data = encode(bytes(1000))
    assert decode(data, most=len(data)) == bytes(1000)
    with pytest.raises(SettingError, match=r"has 1,\d\d\d bytes, and at most 1,000 are read"):
        decode(data, Allowed(), most=1000)
