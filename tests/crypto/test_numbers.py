"""Numbers that cannot be summed are refused by owner and tensor before they are sealed, and never quoted."""

import decimal

import numpy as np
import pytest

from fedlab_nb.crypto import BFV, CKKS, seal
from tests.crypto.common import CASES, KINDS, NAMES, Cast

TENSORS = (("conv.weight", 3), ("conv.bias", 2), ("head.weight", 4))
GOOD = np.array([0.12345, -0.5, 0.25, 0.75, -0.0625, 0.5, 0.3, 0.2, 0.1])


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def sealing(request, make_cast):
    """Seal numbers of one owner, agreed on to be nine in three tensors, or as many as there are."""
    cast = make_cast(request.param)
    plan = request.param.plan(bound=1.0, owners=2)

    def call(values, tensors=TENSORS):
        manifest = cast.manifest(plan, max(np.size(values), 1), tensors=tensors)
        return cast.sealers["owner 1"].seal(values, manifest)

    return call


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("places", "tensor"), [([0], "conv.weight"), ([4, 7], "conv.bias"), ([8], "head.weight")])
def test_numbers_that_are_not_finite_are_refused_by_owner_and_tensor(sealing, refuses, bad, places, tensor):
    values = GOOD.copy()
    values[places] = bad
    match = rf"{len(places)} of 9 numbers from 'owner 1' \(the first in '{tensor}'\) are NaN or infinite"
    assert "0.123" not in refuses(match, sealing, values)
    assert "the first" not in refuses("numbers from 'owner 1' are NaN", sealing, values, tensors=())


@pytest.mark.parametrize("bad", [1.234567, -9.75, 1e300, np.nextafter(1.0, 2.0)])
@pytest.mark.parametrize(("places", "tensor"), [([2], "conv.weight"), ([3, 4], "conv.bias"), ([5], "head.weight")])
def test_numbers_beyond_the_bound_are_refused_by_owner_and_tensor_without_quoting_them(
    sealing, refuses, bad, places, tensor
):
    values = GOOD.copy()
    values[places] = bad
    match = rf"{len(places)} of 9 numbers from 'owner 1' \(the first in '{tensor}'\) are beyond the planned bound of ±1"
    text = refuses(match, sealing, values)
    for number in (bad, *GOOD):
        assert str(float(number)) not in text


@pytest.mark.parametrize("values", [[1.0, -1.0], np.array([1, 0, -1]), np.array([True, False]), np.float32([0.5])])
def test_numbers_at_the_bound_and_whole_ones_are_sealed(sealing, values):
    assert sealing(values, tensors=()).length == len(values)


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([], r"\(0,\)"),
        ([[0.1, 0.2]], r"\(1, 2\)"),
        (np.zeros((2, 3)), r"\(2, 3\)"),
        (np.zeros((0, 3)), r"\(0, 3\)"),
        (0.5, r"\(\)"),
    ],
)
def test_anything_but_one_row_of_numbers_is_refused(sealing, refuses, values, shape):
    refuses(f"'owner 1' gave an array of shape {shape}", sealing, values)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a"], "<U1"),
        ([1j], "complex128"),
        ([None], "object"),
        ([10**400], "object"),
        ([decimal.Decimal("0.5")], "object"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), r"datetime64\[D\]"),
        (np.array([b"0.5"]), r"\|S3"),
    ],
    ids=["text", "complex", "nothing", "huge", "decimal", "date", "bytes"],
)
def test_numbers_of_another_kind_are_refused(sealing, refuses, values, kind):
    refuses(f"'owner 1' gave an array of shape .* and type {kind}", sealing, values)


@pytest.mark.parametrize("case", CASES)
def test_nothing_that_is_refused_is_encrypted(make_cast, refuses, monkeypatch, case):
    scheme, bound = CASES[case]
    cast, plan = make_cast(scheme), scheme.plan(bound=bound, owners=2)
    monkeypatch.setattr(seal, "codec_of", lambda _: pytest.fail("it was to be encrypted"))
    for bad in (np.nan, np.inf, 1.5 * bound):
        refuses("2 of 2 numbers", cast.sealers["owner 0"].seal, [bad, -bad], cast.manifest(plan, 2))


@pytest.mark.parametrize(
    ("agreed", "key"),
    [
        (CKKS("compact"), BFV()),
        (BFV(), CKKS("compact")),
        (CKKS("deep"), CKKS()),
        (CKKS(), CKKS("deep")),
        (CKKS(), CKKS("compact")),
    ],
    ids=["compact, BFV key", "BFV, compact key", "deep, default key", "default, deep key", "default, compact key"],
)
def test_a_key_that_does_not_fit_the_scheme_that_was_agreed_on_is_refused(refuses, agreed, key):
    cast = Cast(key, NAMES[:2])
    manifest = cast.manifest(agreed.plan(bound=1.0, owners=2), 1)
    refuses("are not those of", cast.sealers[NAMES[0]].seal, [0.5], manifest)
