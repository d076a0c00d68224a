"""What really crosses: real bytes, few of them, which alone restore the change, and which are not believed blindly."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.compress import QSGD, Drawn, Quantised, RandomK, Signs, SignSGD, Sparse, TopK
from fedlab_nb.errors import RoundError

FEW = settings(max_examples=60, deadline=None)
KINDS = [(TopK(0.2), Sparse), (TopK(0.9), Sparse), (RandomK(0.2), Drawn), (QSGD(5), Quantised), (SignSGD(1.0), Signs)]
each_kind = pytest.mark.parametrize(("compressor", "kind"), KINDS)


def packed_by(compressor, size=100, seed=0):
    return compressor.compress(np.random.default_rng(seed).normal(size=size), np.random.default_rng(seed))


@FEW
@given(
    compressor=st.one_of(
        st.builds(TopK, st.floats(0.001, 1.0)),
        st.builds(RandomK, st.floats(0.001, 1.0), st.booleans()),
        st.builds(QSGD, st.integers(1, 32_767)),
        st.just(SignSGD(0.1)),
    ),
    size=st.integers(0, 600),
    seed=st.integers(0, 1000),
)
def test_bytes_alone_restore_the_same_numbers(compressor, size, seed):
    packed = packed_by(compressor, size, seed)
    received = type(packed).from_bytes(bytes(packed.payload), size)
    assert received.restore().tobytes() == packed.restore().tobytes()
    assert received.nbytes == len(packed.payload) == packed.nbytes
    assert received.size == size


def test_the_bytes_are_as_few_as_promised():
    d = 100_000
    assert packed_by(SignSGD(0.1), d).nbytes == 5 + d // 8
    for levels in (1, 7, 8, 127, 128):
        bits = math.ceil(math.log2(2 * levels + 1))
        assert packed_by(QSGD(levels), d).nbytes == 11 + math.ceil(d * bits / 8)
    assert packed_by(RandomK(0.1), d).nbytes == 17 + 4 * d // 10
    # One byte for each place where a tenth is kept, two where a hundredth is, one bit a number where a half is.
    assert packed_by(TopK(0.1), d).nbytes == 6 + 5 * d // 10
    assert packed_by(TopK(0.01), d).nbytes == 6 + 6 * d // 100
    assert packed_by(TopK(0.5), d).nbytes == 6 + d // 8 + 4 * d // 2


def test_the_layout_is_the_one_that_is_written_down():
    assert TopK(0.5).compress(np.array([1.0, 0.0, 0.0, -2.0])).payload == struct.pack(
        "<BBIB2f", 1, 0, 4, 0b10010000, 1.0, -2.0
    )
    change = np.zeros(300)
    change[[280, 299]] = 1.0, 2.0
    assert TopK(2 / 300).compress(change).payload == struct.pack("<BBI2H2f", 1, 2, 300, 280, 18, 1.0, 2.0)
    far = np.zeros(70_000)
    far[69_999] = 3.0
    assert TopK(1e-5).compress(far).payload == struct.pack("<BBIIf", 1, 4, 70_000, 69_999, 3.0)
    assert SignSGD(1.0).compress(np.array([1.0, -1.0, 2.0]), np.random.default_rng(0)).payload == struct.pack(
        "<BIB", 4, 3, 0b10100000
    )
    # Three and four fifths of the norm 5: both levels are certain, 15 and -20 of 25, sent as 40 and 5 in 6 bits each.
    certain = QSGD(25).compress(np.array([3.0, -4.0]), np.random.default_rng(0))
    assert certain.payload == struct.pack("<BIHf2B", 3, 2, 25, 5.0, 0b10100000, 0b01010000)
    drawn = RandomK(1.0).select(np.array([7.0]), seed=2**40, number=3)
    assert drawn.payload == struct.pack("<BQIIf", 2, 2**40, 3, 1, 7.0)


@each_kind
def test_what_is_cut_short_or_too_long_or_of_another_kind_is_refused(compressor, kind):
    payload = packed_by(compressor).payload
    for bad in (b"", payload[:3], payload[:-1], payload + b"\0", bytes([99]) + payload[1:]):
        with pytest.raises(RoundError, match=f"A packed update \\({kind.__name__}, {len(bad)} bytes\\)"):
            kind.from_bytes(bad).restore()
    others = {Sparse, Drawn, Quantised, Signs} - {kind}
    for other in others:
        with pytest.raises(RoundError, match="does not begin as it should"):
            other.from_bytes(payload)


@each_kind
def test_another_size_than_the_models_is_refused_before_memory_is_taken(compressor, kind):
    with pytest.raises(RoundError, match="is of 100 numbers, not of 99"):
        kind.from_bytes(packed_by(compressor).payload, size=99)
    huge = struct.pack("<BBI", 1, 1, 2**32 - 1) + b"\0" + struct.pack("<f", 1.0)
    with pytest.raises(RoundError, match=r"is of 4,294,967,295 numbers, not of 10"):
        Sparse.from_bytes(huge, size=10)


@pytest.mark.parametrize(
    ("kind", "payload", "says"),
    [
        (Sparse, struct.pack("<BBIBf", 1, 1, 3, 3, 1.0), "names a place"),
        (Sparse, struct.pack("<BBI2B2f", 1, 1, 3, 1, 1, 1.0, 1.0), "names a place"),
        (Sparse, struct.pack("<BBIIf", 1, 4, 3, 2**32 - 1, 1.0), "names a place"),
        (Sparse, struct.pack("<BBIBf", 1, 0, 3, 0b00010000, 1.0), "names a place"),
        (Sparse, struct.pack("<BBIBf", 1, 3, 3, 0, 1.0), "shorter or longer"),
        (Sparse, struct.pack("<BBIBf", 1, 1, 3, 0, math.nan), "not finite"),
        (Drawn, struct.pack("<BQII2f", 2, 0, 0, 1, 1.0, 1.0), "shorter or longer"),
        (Drawn, struct.pack("<BQIIf", 2, 0, 0, 1, math.inf), "not finite"),
        (Quantised, struct.pack("<BIHfB", 3, 1, 0, 1.0, 0), "impossible levels"),
        (Quantised, struct.pack("<BIHfB", 3, 1, 1, math.nan, 0), "impossible levels"),
        (Quantised, struct.pack("<BIHfB", 3, 1, 1, -1.0, 0), "impossible levels"),
        (Quantised, struct.pack("<BIHfB", 3, 1, 1, math.inf, 0), "impossible levels"),
        (Quantised, struct.pack("<BIHfB", 3, 1, 1, 1.0, 0b11000000), "a level that there is not"),
        (Signs, struct.pack("<BI", 4, 2**32 - 1), "shorter or longer"),
    ],
)
def test_bytes_that_no_owner_would_send_are_refused(kind, payload, says):
    with pytest.raises(RoundError, match=says) as caught:
        kind.from_bytes(payload).restore()
    assert (caught.value.party, caught.value.stage) == ("server", "update")


@FEW
@given(data=st.binary(max_size=40), kind=st.sampled_from([(1, Sparse), (2, Drawn), (3, Quantised), (4, Signs)]))
def test_no_bytes_whatever_do_more_than_be_refused(data, kind):
    first, packed = kind
    payload = bytes([first]) + data
    try:
        # A receiver names the size; without that, only memory would be at stake.
        restored = packed.from_bytes(payload, size=16).restore()
    except RoundError:
        return
    assert restored.shape == (16,)
    assert np.isfinite(restored).all()
