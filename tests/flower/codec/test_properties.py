"""Any value arrives as it was, and no change to a message does more than change a value or be refused."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.codec import decode, encode
from tests.flower.codec.common import (
    ALLOWED,
    Colour,
    MineError,
    More,
    Plain,
    Settings,
    Spot,
    Tight,
    adder,
    pair,
    same,
    sent,
)

PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(st.characters(), max_size=8),
    st.binary(max_size=8), st.sampled_from([Colour.RED, Colour.BLUE, np.float32("nan"), np.int16(-7), np.True_]),
)  # fmt: skip
KEYS = st.one_of(
    st.integers(), st.text(max_size=4), st.tuples(st.integers(), st.text(max_size=2)), st.binary(max_size=3)
)
ARRAYS = arrays.arrays(
    st.sampled_from(["?", "i1", "<u8", ">i4", "<f4", "<f8", ">f8", "<c16"]),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
VALUES = st.recursive(
    PLAIN | ARRAYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.builds(Tight, inner, inner),
        st.builds(Spot, inner, st.text(max_size=3)),
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_any_value_arrives_as_it_was(value):
    data = encode(value, ALLOWED)
    found = decode(data, ALLOWED)
    assert alike(found, value)
    assert encode(found, ALLOWED) == data


def alike(a, b):
    """As ``same``, and through objects."""
    if isinstance(a, Tight) and type(b) is Tight:
        return alike(a.a, b.a) and alike(a.b, b.b)
    if isinstance(a, dict) and type(b) is dict:
        return len(a) == len(b) and all(map(same, a, b)) and all(map(alike, a.values(), b.values()))
    if isinstance(a, list | tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(alike, a, b))
    return same(a, b)


def everything():
    """One value with something of each kind."""
    shared = [1, 2.5, "x", b"y"]
    return {
        "plain": (None, True, 2**70, float("nan"), 1j, "ä"),
        "arrays": [np.arange(6.0).reshape(2, 3).T, np.float32(1.5), np.array(3, "i2")],
        "objects": [Settings(0.5, ("a",)), More(1, 2, 3), Plain(a=shared), Spot(1.0), Colour.RED, MineError(3)],
        "functions": [*adder(3), pair(2), Plain().method],
        ("key", 1): (shared, shared, {1, 2}, frozenset({3}), slice(1, 2), range(3)),
    }


WHOLE = encode(everything(), ALLOWED)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_changed_bytes_give_a_value_or_a_taught_error(data):
    changed = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    read(bytes(changed))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_cut_and_doubled_bytes_give_a_value_or_a_taught_error(data):
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(WHOLE))] * 2)))
    middle = WHOLE[begin:end] * data.draw(st.integers(0, 2))
    read(WHOLE[:begin] + middle + WHOLE[end:])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_exchanged_digits_give_a_value_or_a_taught_error(data):
    """Places, lines, sizes and numbers: what a message says of itself, still good JSON."""
    changed, digits = bytearray(WHOLE), [i for i, c in enumerate(WHOLE) if 48 <= c < 58 and i > 16]
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.sampled_from(digits))] = data.draw(st.integers(48, 57))
    read(bytes(changed))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_anybody_are_refused(data):
    read(data)
    read(b"FEDLAB1\n" + len(data).to_bytes(8, "little") + data)


def read(data):
    """Reads a message, and lets nothing but a taught error pass."""
    try:
        decode(data, ALLOWED)
    except FedLabError as error:
        assert error.do  # noqa: PT017 - that none may come is part of what is asked


def test_the_whole_value_arrives():
    found = sent(everything())
    assert found["functions"][0](1) == adder(3)[0](1)
    assert found["objects"][2].a is found[("key", 1)][0] is found[("key", 1)][1]
