import secrets
from contextlib import suppress
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto.masks.shamir import PRIME, SHARE_BYTES, combine, read_share, share
from fedlab_nb.errors import EncryptionError, SettingError

SECRET = bytes(range(32))


def written(point: int, value: int) -> bytes:
    return point.to_bytes(2, "big") + value.to_bytes(33, "big")


def through(points: dict[int, int], at: int) -> int:
    """The value of the polynomial through ``points``: Newton's divided differences, another way than the code's."""
    xs, column = list(points), list(points.values())
    for step in range(1, len(xs)):
        for i in range(len(xs) - 1, step - 1, -1):
            column[i] = (column[i] - column[i - 1]) * pow(xs[i] - xs[i - step], -1, PRIME) % PRIME
    value = 0
    for x, coefficient in zip(reversed(xs), reversed(column), strict=True):
        value = (value * (at - x) + coefficient) % PRIME
    return value


def test_the_field_is_prime_and_has_room_for_every_secret():
    # Miller and Rabin with 64 random bases: a number that is not prime passes with a chance below 4**-64.
    odd, twos = PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(64):
        power = pow(secrets.randbelow(PRIME - 3) + 2, odd, PRIME)
        squares = [pow(power, 2**i, PRIME) for i in range(twos)]
        assert power == 1 or PRIME - 1 in squares
    assert int.from_bytes(b"\xff" * 32, "big") < PRIME


@settings(deadline=None, max_examples=60)
@given(secret=st.binary(min_size=32, max_size=32), data=st.data())
def test_any_threshold_of_the_shares_give_the_secret_back(secret, data):
    count = data.draw(st.integers(1, 12))
    threshold = data.draw(st.integers(1, count))
    shares = data.draw(st.permutations(share(secret, threshold, count)))
    assert combine(shares[:threshold], threshold) == secret
    assert combine(shares, threshold) == secret


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32])
def test_the_smallest_and_the_largest_secret_come_back(secret):
    shares = share(secret, 2, 3)
    assert [combine(pair, 2) for pair in combinations(shares, 2)] == [secret] * 3


def test_a_known_example_with_small_numbers_gives_its_secret():
    # Wikipedia, "Shamir's secret sharing": 1234 + 166 x + 94 x**2.
    shares = [written(2, 1942), written(4, 3402), written(5, 4414)]
    assert int.from_bytes(combine(shares, 3), "big") == 1234


def test_shares_are_points_of_one_polynomial_of_the_right_degree():
    points = dict(read_share(item) for item in share(SECRET, 4, 9))
    assert list(points) == list(range(1, 10))
    four = dict(list(points.items())[:4])
    assert through(four, 0) == int.from_bytes(SECRET, "big")
    assert all(through(four, x) == value for x, value in points.items())
    three = dict(list(points.items())[:3])
    assert through(three, 0) != int.from_bytes(SECRET, "big"), "a lower degree would need fewer shares"


@settings(deadline=None, max_examples=40)
@given(other=st.binary(min_size=32, max_size=32), data=st.data())
def test_one_share_less_than_needed_fits_every_secret_there_is(other, data):
    threshold = data.draw(st.integers(2, 8))
    shares = share(SECRET, threshold, 9)
    known = data.draw(st.permutations(shares))[: threshold - 1]
    points = dict(read_share(item) for item in known) | {0: int.from_bytes(other, "big")}
    assert combine([*known, written(10, through(points, 10))], threshold) == other


def test_the_same_secret_is_shared_by_other_numbers_each_time():
    values = [value for _ in range(50) for _, value in map(read_share, share(SECRET, 2, 3))]
    assert len(set(values)) == 150


def test_too_few_shares_are_refused_with_both_numbers():
    with pytest.raises(EncryptionError, match=r"3 shares are needed .* and 2 came"):
        combine(share(SECRET, 3, 5)[:2], 3)
    with pytest.raises(EncryptionError, match="are needed"):
        combine([], 0)


def test_fewer_shares_passed_off_as_enough_do_not_give_the_secret():
    found = set()
    for part in combinations(share(SECRET, 3, 9), 2):
        with suppress(EncryptionError):
            found.add(combine(part, 2))
    assert len(found) > 1
    assert SECRET not in found


def test_a_point_that_comes_twice_is_refused():
    one, two, _ = share(SECRET, 3, 3)
    with pytest.raises(EncryptionError, match="the same point"):
        combine([one, two, one], 3)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        bytes(SHARE_BYTES),
        written(0, 5),
        written(1, PRIME),
        written(1, 2**264 - 1),
        written(1, 5)[:-1],
        written(1, 5) + b"\0",
    ],
)
def test_what_is_no_share_is_refused(bad):
    with pytest.raises(EncryptionError, match="given as a share"):
        combine([written(2, 1), bad], 2)


def test_shares_whose_secret_would_not_fit_are_refused():
    with pytest.raises(EncryptionError, match="do not belong to one secret"):
        combine([written(1, 2**256)], 1)


@pytest.mark.parametrize(("threshold", "count"), [(0, 3), (4, 3), (-1, 3), (1, 0), (2, 2**16)])
def test_numbers_of_shares_that_cannot_work_are_refused(threshold, count):
    with pytest.raises(SettingError, match="cannot be put together"):
        share(SECRET, threshold, count)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_secrets_of_other_lengths_are_refused_without_being_quoted(size):
    with pytest.raises(EncryptionError, match=f"A secret of {size} bytes") as refusal:
        share(b"q" * size, 2, 3)
    assert "qq" not in str(refusal.value)
