import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto import CKKS, Adder, KeyHolder, Sealer

SIZES = (1, 2047, 2048, 2049, 6144)


@settings(max_examples=25, deadline=None)
@given(
    owners=st.integers(1, 6),
    size=st.sampled_from(SIZES),
    bound=st.sampled_from([1e-3, 0.1, 1.0, 7.3, 4096.0, 2.0**20]),
    seed=st.integers(0, 2**32 - 1),
)
def test_opened_sums_equal_sums_of_grid_numbers_bit_for_bit(trio, owners, size, bound, seed):
    plan = CKKS().plan(bound=bound, owners=owners)
    vectors = np.random.default_rng(seed).uniform(-bound, bound, (owners, size))
    assert trio.total(vectors, plan).tobytes() == np.sum(plan.grid(vectors), axis=0).tobytes()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_all_owners_at_the_bound_do_not_wrap(trio, size, sign):
    # Random numbers cannot show a wrap: a constant vector puts everything into one coefficient.
    plan = CKKS().plan(bound=7.3, owners=5)
    vectors = np.full((5, size), sign * 7.3)
    assert trio.total(vectors, plan).tobytes() == np.sum(plan.grid(vectors), axis=0).tobytes()


@pytest.mark.parametrize(("bound", "owners"), [(2.0**20, 50), (1.0, 64), (1.0, 33)])
def test_many_owners_at_the_bound_stay_exact(trio, bound, owners):
    plan = CKKS().plan(bound=bound, owners=owners)
    vectors = np.where(np.arange(2048) % 2, bound, -bound) * np.ones((owners, 1))
    assert np.array_equal(trio.total(vectors, plan), np.sum(plan.grid(vectors), axis=0))
    assert np.array_equal(trio.total(np.abs(vectors), plan), np.full(2048, owners * bound))


def test_counts_come_back_as_the_same_whole_numbers(trio):
    plan = CKKS().plan(bound=2**20, owners=50)
    counts = np.random.default_rng(3).integers(0, 2**20, (50, 300))
    assert np.array_equal(trio.total(counts, plan), counts.sum(axis=0))


def test_the_order_and_grouping_of_additions_do_not_matter(trio, plan):
    vectors = np.random.default_rng(5).uniform(-1, 1, (4, 100))
    a, b, c, d = trio.seal_all(vectors, plan)
    grouped = trio.server.add([trio.server.add([d, b], plan), trio.server.add([c, a], plan)], plan)
    assert np.array_equal(trio.holder.open(grouped, plan, expected=4), trio.total(vectors, plan))
    assert sorted(grouped.senders) == [f"owner {i}" for i in range(4)]


def test_numbers_that_cancel_give_zero_and_not_minus_zero(trio, plan):
    total = trio.total([np.array([0.25, -1e-12]), np.array([-0.25, -1e-12])], plan)
    assert total.tobytes() == np.zeros(2).tobytes()


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_weighted_mean_without_one_owner_is_the_plain_weighted_mean_of_the_rest(trio, missing):
    plan = CKKS().plan(bound=500.0, owners=3)
    rng = np.random.default_rng(9)
    values, weights = rng.uniform(-1, 1, (3, 530)), np.array([120.0, 37.0, 401.0])
    sent = [np.append(v * w, w) for v, w in zip(values, weights, strict=True)]
    here = [i for i in range(3) if i != missing]
    total = trio.total([sent[i] for i in here], plan)
    plain = np.sum([plan.grid(sent[i]) for i in here], axis=0)
    assert np.array_equal(total[:-1] / total[-1], plain[:-1] / plain[-1])
    oracle = np.average(values[here], axis=0, weights=weights[here])
    np.testing.assert_allclose(total[:-1] / total[-1], oracle, atol=2.0**-plan.grid_bits)


@pytest.mark.parametrize(("bound", "owners"), [(1.0, 1), (1.0, 10), (2.0**20, 50)])
def test_the_noise_is_what_the_plan_says(bound, owners):
    plan = CKKS().plan(bound=bound, owners=owners)
    holder = KeyHolder.create()
    owner, server = Sealer(holder.public_key), Adder(holder.parameters)
    vectors = plan.grid(np.random.default_rng(1).uniform(-bound, bound, (owners, 2048)))
    total = server.add([owner.seal(v, plan, sender=str(i)) for i, v in enumerate(vectors)], plan)
    noise = np.std(holder._decrypt(total.chunks[0]) - vectors.sum(axis=0))
    assert plan.sigma / 1.5 < noise < plan.sigma * 1.5


def test_what_is_opened_depends_on_the_numbers_and_not_on_the_encryption(trio, plan):
    # Raw decryptions of equal numbers differ by the noise that gives away the key; opened ones must not.
    values = np.random.default_rng(2).uniform(-1, 1, 2048)
    sealed = [trio.owner.seal(values, plan, sender="A") for _ in range(5)]
    assert len({trio.holder._decrypt(s.chunks[0]).tobytes() for s in sealed}) == 5
    assert len({trio.holder.open(s, plan, expected=1).tobytes() for s in sealed}) == 1


def test_measured_bytes_are_those_of_the_plan(trio, plan):
    sealed = trio.owner.seal(np.zeros(6144), plan, sender="A")
    assert sealed.nbytes / 6144 == pytest.approx(plan.bytes_per_value, rel=0.01)
    assert trio.server.add([sealed], plan).nbytes == pytest.approx(sealed.nbytes, rel=0.01)
