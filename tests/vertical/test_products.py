"""Sums of products: exact on the grid, for any shape, and nothing else in what is opened."""

import numpy as np
import pytest
import tenseal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fedlab_nb.crypto import CKKS, KeyHolder, Mailbox
from fedlab_nb.crypto.ciphertexts import native
from fedlab_nb.crypto.ciphertexts.codec import decrypted
from fedlab_nb.crypto.products import (
    ProductPlan,
    Shipment,
    factors_of,
    opened,
    opened_padded,
    sides,
    unpadded,
)
from fedlab_nb.crypto.products import multiplied as multiplied_by
from fedlab_nb.crypto.products import sealed_columns as sealed_by
from fedlab_nb.crypto.products.polynomials import coefficients_of, unpacked
from fedlab_nb.errors import EncryptionError

SCHEME = CKKS("deep")


@pytest.fixture(scope="module")
def keys():
    """(the context with the secret key, the one with the public key only)."""
    private = native.new_context(SCHEME)
    public = private.serialize(save_secret_key=False, save_galois_keys=False, save_relin_keys=False)
    return private, tenseal.context_from(public, n_threads=1)


def plan_of(rows, left, right, left_bits=20, right_bits=20):
    return ProductPlan(scheme=SCHEME, rows=rows, left=left, right=right, left_bits=left_bits, right_bits=right_bits)


def zeros_of(context):
    return lambda: native.encrypted_zero(context, SCHEME)


def sealed_columns(columns, plan, context, *, sender):
    return sealed_by(columns, plan, zeros_of(context), sender=sender)


def multiplied(chunks, columns, plan, context, *, sender):
    return multiplied_by([chunks], [factors_of(columns, plan, sender=sender)], plan, zeros_of(context)).chunks


def unit(columns):
    return columns / np.sqrt((columns**2).mean(axis=0))


def exact(left, right, plan):
    """The sums of the rounded columns in whole numbers, by Python's own arithmetic."""
    a = np.rint(np.ldexp(left, plan.left_bits)).astype(np.int64).astype(object)
    b = np.rint(np.ldexp(right, plan.right_bits)).astype(np.int64).astype(object)
    return np.ldexp((a.T @ b).astype(np.float64), -plan.left_bits - plan.right_bits)


@given(st.integers(1, 300), st.integers(1, 2), st.integers(1, 80), st.sampled_from([0, 20]), st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_sums_are_exact_for_any_shape(keys, rows, left, right, bits, seed):
    rng, plan = np.random.default_rng(seed), plan_of(rows, left, right, bits, 20 - bits)
    a, b = unit(rng.standard_normal((rows, left)) + 0.1), unit(rng.standard_normal((rows, right)) + 0.1)
    a, b = (a, rng.integers(0, 2, b.shape)) if bits else (rng.integers(0, 2, a.shape), b)
    sealed = sealed_columns(a, plan, keys[1], sender="A")
    assert len(sealed) == left * plan.blocks
    answers = multiplied(sealed, b, plan, keys[1], sender="B")
    assert len(answers) == left * plan.answers
    assert np.array_equal(opened(answers, plan, keys[0]), exact(a, b, plan))


def test_more_rows_than_a_polynomial_has_places_and_the_largest_sums_there_can_be(keys):
    plan = plan_of(9000, 1, 2)
    column = np.ones((9000, 1))
    answers = multiplied(sealed_columns(column, plan, keys[1], sender="A"), np.hstack([column, -column]), plan,
                         keys[1], sender="B")  # fmt: skip
    assert opened(answers, plan, keys[0]).tolist() == [[9000.0, -9000.0]]
    assert plan.blocks > 1


def test_one_outlier_that_holds_all_of_a_column(keys):
    plan = plan_of(500, 1, 1)
    column = np.zeros((500, 1))
    column[17] = np.sqrt(500)
    answers = multiplied(sealed_columns(column, plan, keys[1], sender="A"), column, plan, keys[1], sender="B")
    assert opened(answers, plan, keys[0]) == exact(column, column, plan)


def test_columns_of_zeros(keys):
    plan = plan_of(10, 1, 1, 0, 0)
    zeros = np.zeros((10, 1))
    answers = multiplied(sealed_columns(zeros, plan, keys[1], sender="A"), zeros, plan, keys[1], sender="B")
    assert opened(answers, plan, keys[0]) == 0.0


def all_coefficients(chunk, context):
    """Everything that the key holder finds when it decrypts one ciphertext."""
    return coefficients_of(decrypted(context, unpacked(chunk, SCHEME)), np.arange(SCHEME.ring), SCHEME)


def test_all_that_is_opened_beside_the_sums_is_uniformly_random(keys, monkeypatch):
    plan, rng = plan_of(400, 1, 20), np.random.default_rng(0)
    a, b = unit(rng.standard_normal((400, 1))), unit(rng.standard_normal((400, 20)))
    sealed = sealed_columns(a, plan, keys[1], sender="A")
    modulus = np.prod(np.array(native.wire_of(SCHEME).primes, dtype=object))
    places = set(sides._places(20, plan).tolist())

    def others():
        found = all_coefficients(multiplied(sealed, b, plan, keys[1], sender="B")[0], keys[0])
        return np.array([float(value / modulus) for at, value in enumerate(found) if at not in places])

    first, second = others(), others()
    assert stats.kstest(first, stats.uniform(-0.5, 1.0).cdf).pvalue > 1e-4
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.06
    # Without the mask the same test finds the rows' products.
    monkeypatch.setattr(sides, "_mask", lambda *_: np.zeros((3, SCHEME.ring), dtype=np.uint64))
    first, second = others(), others()
    assert stats.kstest(first, stats.uniform(-0.5, 1.0).cdf).pvalue < 1e-9
    assert np.corrcoef(first, second)[0, 1] > 0.99


def test_noise_beside_a_sum_hides_what_the_right_columns_made_of_it(keys):
    plan, ones = plan_of(64, 1, 64), np.ones((64, 64))
    sealed = sealed_columns(ones[:, :1], plan, keys[1], sender="A")
    found = all_coefficients(multiplied(sealed, ones, plan, keys[1], sender="B")[0], keys[0])
    off = [found[at] - (round(found[at] / 2**plan.scale_bits) << plan.scale_bits) for at in sides._places(64, plan)]
    assert np.std([float(value) for value in off]) > 2**30 * plan.noise / 4
    assert max(map(abs, off)) < 2 ** (plan.scale_bits - 1)


def test_equal_columns_are_sealed_differently_every_time(keys):
    plan, column = plan_of(64, 1, 1, 0, 0), np.ones((64, 1))
    first, second = (sealed_columns(column, plan, keys[1], sender="A") for _ in range(2))
    assert first != second
    answers = [multiplied(first, column, plan, keys[1], sender="B") for _ in range(2)]
    words = [native.wire_of(SCHEME).unpack(answer[0]) for answer in answers]
    assert not (words[0] == words[1]).any(axis=(0, 1)).any()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (np.ones((9, 1)), "shape"),
        (np.full((10, 1), np.nan), "not finite"),
        (np.full((10, 1), 2.0), "mean square"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_name_without_a_number(keys, columns, words):
    with pytest.raises(EncryptionError, match=f"'A'.*{words}"):
        sealed_columns(columns, plan_of(10, 1, 1), keys[1], sender="A")


def test_what_is_no_sum_on_the_grid_is_not_released(keys):
    plan, other, ones = plan_of(64, 1, 40), plan_of(64, 1, 40, 0, 0), np.ones((64, 40))
    # Of another scale: the noise beside each sum is then off the grid with one chance in two.
    answers = multiplied(sealed_columns(ones[:, :1], other, keys[1], sender="A"), ones, other, keys[1], sender="B")
    with pytest.raises(EncryptionError, match="not a sum of products"):
        opened(answers, plan, keys[0])


def test_too_many_rows_are_refused_before_anything_is_sealed():
    with pytest.raises(EncryptionError, match="do not fit"):
        plan_of(2**40, 1, 1)


def test_no_secret_key_is_needed_to_seal_or_multiply(keys):
    assert not keys[1].is_private()


@pytest.fixture
def cast():
    """A key holder and two owners that know each other, and a pair of envelopes."""
    holder = KeyHolder(SCHEME, session="s")
    boxes = {name: Mailbox(name, session="s") for name in "AB"}
    public = {"key holder": holder.mailbox.public, **{name: box.public for name, box in boxes.items()}}
    for box in (holder.mailbox, *boxes.values()):
        box.meet(public)
    return holder, boxes


def envelope(holder, boxes, *, inside=("A", "B"), kind="k"):
    plan = plan_of(64, 1, 1, 0, 0)
    context = tenseal.context_from(holder.public_key, n_threads=1)
    chunks = multiplied(sealed_columns(np.ones((64, 1)), plan, context, sender="A"), np.ones((64, 1)), plan, context,
                        sender="B")  # fmt: skip
    facts = {"session": "s", "round": 1, "kind": kind, "plan": plan, "fingerprint": holder.fingerprint}
    shipment = Shipment(**facts, sums=True)
    return boxes["B"].send("key holder", shipment, chunks, inside=inside), shipment


def test_the_key_holder_opens_products_of_two_owners_once(cast):
    sealed, shipment = envelope(*cast)
    assert cast[0].open_products(sealed, shipment) == 64.0
    again, shipment = envelope(*cast)
    with pytest.raises(EncryptionError, match="opened twice"):
        cast[0].open_products(again, shipment)


@pytest.mark.parametrize("inside", [("B",), ("B", "B"), ("A", "A"), ("B", "A"), ("A", "B", "B")])
def test_the_key_holder_opens_nothing_of_one_owner_alone_or_for_another(cast, inside):
    sealed, shipment = envelope(*cast, inside=inside)
    with pytest.raises(EncryptionError, match="does not"):
        cast[0].open_products(sealed, shipment)


def test_a_changed_envelope_is_refused_before_anything_is_read(cast):
    sealed, shipment = envelope(*cast)
    changed = type(sealed)(sealed.header, sealed.mac, (sealed.chunks[0][:-1] + b"\x00",))
    with pytest.raises(EncryptionError, match="damaged"):
        cast[0].open_products(changed, shipment)
    sealed, _ = envelope(*cast, kind="other")
    with pytest.raises(EncryptionError, match="agreed on"):
        cast[0].open_products(sealed, shipment)


def test_what_several_owners_sealed_is_added_up_before_anything_is_opened(keys):
    rng = np.random.default_rng(3)
    plan = ProductPlan(scheme=SCHEME, rows=90, left=2, right=70, left_bits=20, right_bits=20, senders=3)
    lefts = [unit(rng.standard_normal((90, 2))) for _ in range(3)]
    rights = [unit(rng.standard_normal((90, 70))) for _ in range(3)]
    sealed = [sealed_columns(left, plan, keys[1], sender="A") for left in lefts]
    factors = [factors_of(right, plan, sender="B") for right in rights]
    products = multiplied_by(sealed, factors, plan, zeros_of(keys[1]))
    assert len(products.chunks) == plan.left * plan.answers
    assert not products.pads
    wanted = sum(exact(left, right, plan) for left, right in zip(lefts, rights, strict=True))
    assert np.array_equal(opened(products.chunks, plan, keys[0]), wanted)


@pytest.mark.parametrize("rows", [50, 3000])
def test_padded_sums_are_random_for_whoever_opens_and_exact_for_who_multiplied(keys, rows):
    rng = np.random.default_rng(4)
    plan = ProductPlan(scheme=SCHEME, rows=rows, left=1, right=9, left_bits=20, right_bits=20, padded=True)
    a, b = unit(rng.standard_normal((rows, 1))), unit(rng.standard_normal((rows, 9)))
    sealed, factors = [sealed_columns(a, plan, keys[1], sender="A")], [factors_of(b, plan, sender="B")]
    products = multiplied_by(sealed, factors, plan, zeros_of(keys[1]))
    shown = opened_padded(products.chunks, plan, keys[0])
    assert np.array_equal(unpadded(shown, products.pads, plan), exact(a, b, plan))
    with pytest.raises(EncryptionError):
        opened(products.chunks, plan, keys[0])  # far off any grid
    with pytest.raises(EncryptionError):
        unpadded(shown, [pad + (1 << (plan.scale_bits - 1)) for pad in products.pads], plan)
    with pytest.raises(EncryptionError):
        unpadded(shown[:-1], products.pads, plan)


def test_what_is_shown_of_padded_sums_is_spread_evenly_over_all_numbers(keys):
    plan = ProductPlan(scheme=SCHEME, rows=64, left=1, right=128, left_bits=20, right_bits=0, padded=True)
    a, b = np.zeros((64, 1)), np.ones((64, 128))
    width, shares = 18, []
    for _ in range(4):
        sealed, factors = [sealed_columns(a, plan, keys[1], sender="A")], [factors_of(b, plan, sender="B")]
        products = multiplied_by(sealed, factors, plan, zeros_of(keys[1]))
        shown = opened_padded(products.chunks, plan, keys[0])
        values = [int.from_bytes(shown[i : i + width], "little") for i in range(0, len(shown), width)]
        shares += [value / sides.modulus(SCHEME) for value in values]
        assert np.all(unpadded(shown, products.pads, plan) == 0.0)
    assert stats.kstest(shares, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("rows", [100, 9000])
def test_two_lanes_are_two_numbers_a_row(keys, rows):
    rng = np.random.default_rng(5)
    plan = ProductPlan(scheme=SCHEME, rows=rows, left=2, right=12, left_bits=20, right_bits=0, lanes=2)
    a = np.clip(rng.standard_normal((rows, 2, 2)), -1, 1)
    b = (rng.random((rows, 12)) < 0.3).astype(float)
    sealed, factors = [sealed_columns(a, plan, keys[1], sender="A")], [factors_of(b, plan, sender="B")]
    found = opened(multiplied_by(sealed, factors, plan, zeros_of(keys[1])).chunks, plan, keys[0])
    assert found.shape == (2, 2, 12)
    for lane in range(2):
        assert np.array_equal(found[lane], exact(a[:, :, lane], b, plan))
    ones = np.full((rows, 2, 2), -1.0)
    sealed = [sealed_columns(ones, plan, keys[1], sender="A")]
    factors = [factors_of(np.ones((rows, 12)), plan, sender="B")]
    found = opened(multiplied_by(sealed, factors, plan, zeros_of(keys[1])).chunks, plan, keys[0])
    assert np.all(found == -rows)


def test_an_owner_seals_under_its_own_key():
    rng, holder = np.random.default_rng(6), KeyHolder(SCHEME, session="s", name="A")
    plan, other = plan_of(70, 1, 3), Mailbox("B", session="s")
    other.meet({"A": holder.mailbox.public})
    holder.mailbox.meet({"B": other.public})
    a, b = unit(rng.standard_normal((70, 1))), unit(rng.standard_normal((70, 3)))
    sealed = [holder.seal_columns(a, plan, sender="A")]
    assert sealed != [holder.seal_columns(a, plan, sender="A")]
    context = tenseal.context_from(holder.public_key, n_threads=1)
    chunks = multiplied_by(sealed, [factors_of(b, plan, sender="B")], plan, zeros_of(context)).chunks
    facts = {"session": "s", "round": 1, "kind": "k", "plan": plan, "fingerprint": holder.fingerprint}
    shipment = Shipment(**facts, sums=True)
    sums = other.send("A", shipment, chunks, inside=("A", "B"))
    assert np.array_equal(holder.open_products(sums, shipment), exact(a, b, plan))
