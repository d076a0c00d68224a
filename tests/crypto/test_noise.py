"""The noise of the encryption is as large as the plan says, so that rounding removes it; and BFV's never runs out."""

import math

import numpy as np
import pytest

from fedlab_nb.crypto.ciphertexts.codec import codec_of
from fedlab_nb.crypto.schemes.bfv import LEAN_OWNERS, MOST_OWNERS
from fedlab_nb.errors import EncryptionError
from tests.crypto.common import CASES, SCHEMES, draw, scaled, summed

APPROXIMATE = [name for name in SCHEMES if name != "BFV"]


@pytest.mark.parametrize(("bound", "owners"), [(1.0, 2), (7.3, 10)])
@pytest.mark.parametrize("name", APPROXIMATE)
def test_the_noise_of_a_sum_is_that_of_the_plan_within_ten_percent(make_cast, name, bound, owners):
    scheme = SCHEMES[name]
    cast, plan = make_cast(scheme), scheme.plan(bound=bound, owners=owners)
    # Two ciphertexts: the deviation of some 4,000 numbers and more is known to about one percent.
    manifest = cast.manifest(plan, 2 * plan.held, owners)
    vectors = plan.grid(draw(owners, 2 * plan.held, bound=bound))
    total = summed(scheme, [item.chunks for item in cast.seal(vectors, manifest)])
    raw = np.concatenate([cast.raw(chunk, manifest, number)[: plan.held] for number, chunk in enumerate(total)])
    noise = raw - vectors.sum(axis=0)
    assert np.std(noise) == pytest.approx(plan.sigma, rel=0.1)
    assert abs(np.mean(noise)) < 0.1 * plan.sigma, "it does not pull sums to one side"


@pytest.mark.parametrize("name", APPROXIMATE)
def test_rounding_removes_the_noise_of_the_noisiest_slot_too(make_cast, name):
    # The rounding error of a ciphertext's second half is multiplied by the key. What the key is in a slot stays as long
    # as the key does, so the noise is normal in each slot, and in some slots three times as large as on average.
    scheme = SCHEMES[name]
    cast, plan = make_cast(scheme), scheme.plan(bound=1.0, owners=2)
    manifest, zeros = cast.manifest(plan, plan.held), np.zeros(plan.held)
    sums = [summed(scheme, [item.chunks for item in cast.seal([zeros, zeros], manifest)])[0] for _ in range(30)]
    noisiest = np.std([cast.raw(total, manifest)[: plan.held] for total in sums], axis=0).max()
    half_step = 2.0 ** -(plan.grid_bits + 1)
    wrong = math.erfc(half_step / noisiest / math.sqrt(2))
    assert wrong < 2.0**-64, "a number of that slot is rounded to the wrong step"


@pytest.mark.parametrize("name", APPROXIMATE)
def test_the_noise_grows_with_the_root_of_the_owners(name):
    scheme = SCHEMES[name]
    one, hundred = (scheme.noise(owners) for owners in (1, 100))
    assert hundred == pytest.approx(10 * one)


@pytest.mark.parametrize("owners", [MOST_OWNERS, LEAN_OWNERS])
@pytest.mark.parametrize("case", ["BFV", "BFV, unpacked"])
def test_the_most_owners_leave_a_noise_budget_of_four_bits_and_the_exact_sum(make_cast, case, owners):
    # The same ciphertext is the worst case: its noise adds up, where that of different ones partly cancels. Budgets are
    # whole bits and one ciphertext in twelve has a bit less than the others, so the worst of many is taken.
    scheme, bound = CASES[case]
    cast, plan = make_cast(scheme), scheme.plan(bound=bound, owners=owners)
    manifest, vector = cast.manifest(plan, plan.held), np.where(np.arange(plan.held) % 3, bound, -bound)
    context, codec = cast.holder._KeyHolder__context, codec_of(plan)

    def budget(chunk: bytes) -> int:
        loaded = codec.read(context, chunk, plan.held + plan.tags, plan)
        return context.decryptor().data.invariant_noise_budget(loaded.ciphertext()[0])

    fresh = [cast.sealers["owner 0"].seal(vector, manifest).chunks for _ in range(100)]
    total = min(fresh, key=lambda chunks: budget(chunks[0]))
    for _ in range(int(math.log2(owners))):
        total = scaled(scheme, total, 2)
    left = budget(total[0])
    # Four as measured for thousands; a rarer ciphertext may have a bit less, and more than none is left all the same.
    assert left >= 3
    assert left < max(budget(chunks[0]) for chunks in fresh), "it is used up"
    assert np.array_equal(cast.raw(total[0], manifest)[: plan.held], owners * plan.grid(vector))


def test_a_spent_noise_budget_is_an_error_and_never_a_number(make_cast, only_tags):
    scheme = SCHEMES["BFV"]
    cast, plan = make_cast(scheme), scheme.plan(bound=1.0, owners=2)
    manifest = cast.manifest(plan)
    a, b = cast.seal(draw(2, 3), manifest)
    total = summed(scheme, [a.chunks, b.chunks])
    for _ in range(16):
        total = scaled(scheme, total, 2)
    with pytest.raises(EncryptionError, match="noise budget of a BFV ciphertext is spent"):
        cast.open(cast.slipped(total, manifest), manifest)
