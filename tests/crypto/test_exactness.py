"""Law: what is opened is the sum of the owners' numbers on the grid, bit for bit, whatever the scheme."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto import BFV, CKKS, Adder, KeyHolder
from fedlab_nb.crypto.seal import SERVER
from tests.crypto.common import CASES, NAMES, SCHEMES, Cast, draw, summed

LENGTHS = {
    "1": lambda held: 1,
    "held - 1": lambda held: held - 1,
    "held": lambda held: held,
    "held + 1": lambda held: held + 1,
    "3 held": lambda held: 3 * held,
}
PACKED = {"BFV": True, "BFV, unpacked": False}


def on_grid(vectors, plan) -> bytes:
    """The sum in the clear, in the order of the owners."""
    return np.sum(plan.grid(vectors), axis=0).tobytes()


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_opened_sums_equal_sums_of_grid_numbers_bit_for_bit(make_cast, case, data):
    scheme, widest = CASES[case]
    owners = data.draw(st.sampled_from([2, 3, 5]), label="owners")
    bound = widest * data.draw(st.sampled_from([1.0, 0.37, 7.3]), label="bound")
    plan = scheme.plan(bound=bound, owners=owners)
    length = LENGTHS[data.draw(st.sampled_from(sorted(LENGTHS)), label="length")](plan.held)
    vectors = draw(owners, length, bound=bound, seed=data.draw(st.integers(0, 2**32 - 1), label="seed"))
    vectors[:, -1] = data.draw(st.lists(st.floats(-bound, bound), min_size=owners, max_size=owners), label="last")
    assert make_cast(scheme).total(vectors, plan).tobytes() == on_grid(vectors, plan)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("case", CASES)
def test_all_owners_at_the_bound_do_not_wrap(make_cast, case, length):
    # Random numbers cannot show a wrap: a constant vector puts everything into one coefficient.
    scheme, bound = CASES[case]
    plan = scheme.plan(bound=bound, owners=3)
    for sign in (1.0, -1.0):
        vectors = np.full((3, LENGTHS[length](plan.held)), sign * bound)
        total = make_cast(scheme).total(vectors, plan)
        assert total.tobytes() == np.full(vectors.shape[1], 3 * sign * bound).tobytes()


@pytest.mark.parametrize("owners", [2, 3, 10, 100])
@pytest.mark.parametrize("case", CASES)
def test_many_owners_at_the_bound_do_not_wrap(make_cast, case, owners):
    scheme, widest = CASES[case]
    bound = 1.3 * widest
    plan = scheme.plan(bound=bound, owners=owners)
    # The first ciphertext holds a sum at the upper end of the range, the second one at the lower end.
    vectors = np.repeat([[bound, -bound]], plan.held, axis=1) * np.ones((owners, 1))
    assert make_cast(scheme).total(vectors, plan).tobytes() == on_grid(vectors, plan)


@pytest.mark.parametrize("case", PACKED)
def test_bfv_packs_two_numbers_into_a_slot_where_the_range_allows_it(case):
    scheme, bound = CASES[case]
    plan = scheme.plan(bound=bound, owners=100)
    assert plan.held + plan.tags == scheme.slots * (2 if PACKED[case] else 1)


@pytest.mark.parametrize("scheme", [CKKS(keys="owners"), CKKS(keys="owners", complex_slots=True), BFV(keys="owners")])
def test_every_owner_with_the_shared_key_opens_the_same_sum(make_cast, scheme):
    cast = make_cast(scheme)
    maker = cast.sealers["owner 0"].mailbox
    plan = scheme.plan(bound=1.0, owners=3)
    vectors = draw(3, plan.held + 1)
    manifest = cast.manifest(plan, plan.held + 1, 3)
    total = cast.add(cast.seal(vectors, manifest), manifest)
    for name in NAMES[1:3]:
        mailbox = cast.sealers[name].mailbox
        wrapped = cast.holder.wrapped_for(name, mailbox.public, maker.identity)
        holder = KeyHolder.unwrapped(
            wrapped, scheme, name=name, maker=maker.public, mailbox=mailbox, expected=cast.holder.fingerprint
        )
        holder.mailbox.meet({n: s.mailbox.public for n, s in cast.sealers.items()} | {SERVER: cast.server.public})
        assert (holder.public_key, holder.fingerprint) == (cast.holder.public_key, cast.holder.fingerprint)
        assert cast.open(total, manifest, holder).tobytes() == on_grid(vectors, plan)


def test_counts_come_back_as_the_same_whole_numbers(make_cast):
    plan = CKKS().plan(bound=2**20, owners=50)
    counts = np.random.default_rng(3).integers(0, 2**20, (50, 300))
    assert np.array_equal(make_cast(CKKS()).total(counts, plan), counts.sum(axis=0))


@pytest.mark.parametrize("case", CASES)
def test_numbers_that_cancel_give_zero_and_not_minus_zero(make_cast, case):
    scheme, bound = CASES[case]
    plan = scheme.plan(bound=bound, owners=2)
    tiny = 0.4 * 2.0**-plan.grid_bits
    total = make_cast(scheme).total([np.array([bound / 4, -tiny]), np.array([-bound / 4, -tiny])], plan)
    assert total.tobytes() == np.zeros(2).tobytes()


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_weighted_mean_without_one_owner_is_the_plain_weighted_mean_of_the_rest(make_cast, missing):
    plan = CKKS().plan(bound=500.0, owners=3)
    values, weights = draw(3, 530, seed=9), np.array([120.0, 37.0, 401.0])
    sent = [np.append(v * w, w) for v, w in zip(values, weights, strict=True)]
    here = [i for i in range(3) if i != missing]
    total = make_cast(CKKS()).total([sent[i] for i in here], plan)
    plain = np.sum([plan.grid(sent[i]) for i in here], axis=0)
    assert np.array_equal(total[:-1] / total[-1], plain[:-1] / plain[-1])
    oracle = np.average(values[here], axis=0, weights=weights[here])
    np.testing.assert_allclose(total[:-1] / total[-1], oracle, atol=2.0**-plan.grid_bits)


@pytest.mark.parametrize("case", CASES)
def test_the_server_adds_coefficients_modulo_each_prime_and_nothing_else_in_whatever_order(make_cast, case):
    scheme, bound = CASES[case]
    cast, plan = make_cast(scheme), scheme.plan(bound=bound, owners=4)
    vectors = draw(4, plan.held + 1, bound=bound)
    manifest = cast.manifest(plan, plan.held + 1, 4)
    a, b, c, d = cast.seal(vectors, manifest)
    total = cast.add([d, b, a, c], manifest)
    assert total.chunks == summed(scheme, [item.chunks for item in (a, b, c, d)])
    assert total.senders == manifest.owners
    assert cast.open(total, manifest).tobytes() == on_grid(vectors, plan)


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "BFV"])
def test_what_is_opened_depends_on_the_numbers_and_not_on_the_encryption(make_cast, name):
    # Raw decryptions of equal sums differ by the noise that gives away the key; opened ones must not.
    scheme = SCHEMES[name]
    cast, plan = make_cast(scheme), scheme.plan(bound=1.0, owners=2)
    vectors, raw, opened = draw(2, plan.held), set(), set()
    for _ in range(5):
        manifest = cast.manifest(plan, plan.held)
        total = cast.add(cast.seal(vectors, manifest), manifest)
        raw.add(cast.raw(total.chunks[0], manifest)[: plan.held].tobytes())
        opened.add(cast.open(total, manifest).tobytes())
    assert len(raw) == 5
    assert opened == {on_grid(vectors, plan)}


def test_two_sums_of_one_round_do_not_get_into_each_others_way(make_cast):
    cast, plan = make_cast(CKKS()), CKKS().plan(bound=1.0, owners=4)
    vectors = draw(4, 5)
    first, second = (cast.manifest(plan, 5, names, round=10_000) for names in (NAMES[:2], NAMES[2:4]))
    other = cast.manifest(plan, 5, 2, round=10_000, kind="counts")
    totals = [cast.add(cast.seal(part, m), m) for m, part in ((first, vectors[:2]), (second, vectors[2:]))]
    totals.append(cast.add(cast.seal(vectors[:2], other), other))
    for total, manifest, part in zip(
        totals, (first, second, other), (vectors[:2], vectors[2:], vectors[:2]), strict=True
    ):
        assert cast.open(total, manifest).tobytes() == on_grid(part, plan)


def test_one_server_serves_a_session_of_another_scheme_after_the_first():
    server, vectors = Adder(), draw(2, 3)
    for scheme in (CKKS(), CKKS("compact"), BFV()):
        plan = scheme.plan(bound=1.0, owners=2)
        assert Cast(scheme, NAMES[:2], server).total(vectors, plan).tobytes() == on_grid(vectors, plan)
