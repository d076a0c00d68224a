"""What each side does: owners seal columns, another multiplies and adds up, whoever has the key opens sums only.

Who could learn what from the bytes alone:
    the owner that multiplies    nothing of the sealed columns: it has the public key. Of padded sums, the sums.
    whoever opens    the sums; of padded ones nothing at all, since each is added to a uniformly random number that only
        the owner that multiplied knows. Every other coefficient of what it opens is padded likewise; the ciphertext was
        added to a fresh encryption of zero, so that it could not be compared with the sealed columns; and what the
        right columns made of the noise in a sum is hidden by noise 2**30 times as large. Before padded sums go back,
        whoever opens adds such noise too: the noise of ciphertexts would tell of the secret key.

This is for owners that follow the protocol. One that multiplies by other numbers than its columns, such as 1 in a
single row, gets another sum opened, and nobody can see it in the ciphertext.

Source: Gentry, "A fully homomorphic encryption scheme", 2009, section 21 (hiding a circuit by noise); Li, Micciancio,
"On the security of homomorphic encryption on approximate numbers", Eurocrypt 2021 (why noise must not be shown).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.ciphertexts import native
from fedlab_nb.crypto.ciphertexts.codec import decrypted
from fedlab_nb.crypto.ciphertexts.native import breathe, guarded
from fedlab_nb.crypto.products.plan import SLACK, ProductPlan
from fedlab_nb.crypto.products.polynomials import (
    centred,
    coefficients_of,
    evaluator,
    lifted,
    modulus,
    moved_up,
    packed_with,
    plaintext,
    uniform,
    unpacked,
)
from fedlab_nb.errors import EncryptionError

Floats = NDArray[np.float64]
Zero = Callable[[], Any]


@dataclass(frozen=True, eq=False, repr=False)
class Factors:
    """An owner's columns made ready for products; they can be used again and again. They never leave the owner.

    ``groups`` has the polynomials of each group of ``widths[i]`` columns, block by block.
    """

    groups: tuple[tuple[Any, ...], ...]
    widths: tuple[int, ...]

    def __repr__(self) -> str:
        return "Factors(private)"


class Products(NamedTuple):
    """Ciphertexts for whoever opens, and the pads that the owner that multiplied keeps (none without padding)."""

    chunks: list[bytes]
    pads: list[int]


def sealed_columns(columns: Floats, plan: ProductPlan, zero: Zero, *, sender: str) -> list[bytes]:
    """The ciphertexts of ``columns`` (rows, left) or (rows, left, lanes), column by column.

    ``zero`` gives a fresh SEAL ciphertext of zero under the key of whoever will open.

    Raises:
        EncryptionError: they are not what the plan says; names the sender, never a number.
    """
    whole = _steps(columns, (plan.rows, plan.left) + (plan.lanes,) * (plan.lanes > 1), plan.left_bits, sender)
    wire = native.wire_of(plan.scheme)
    primes = np.array(wire.primes, dtype=np.uint64)[:, None]
    sealed = []
    for column in np.moveaxis(whole, 1, 0).reshape(plan.left, plan.rows, plan.lanes):
        for start in range(0, plan.rows, plan.block):
            part = column[start : start + plan.block]
            lanes = (moved_up(lane, plan.scale_bits + k * plan.lane_bits, wire) for k, lane in enumerate(part.T))
            words = np.zeros((len(wire.primes), wire.ring), dtype=np.uint64)
            words[:, : len(part)] = sum(lanes, np.uint64(0)) % primes
            sealed.append(packed_with(zero(), words, plan.scheme))
            breathe()
    return sealed


def factors_of(columns: Floats, plan: ProductPlan, *, sender: str) -> Factors:
    """The owner's ``columns`` (rows, right), ready for products.

    Raises:
        EncryptionError: the columns are not what the plan says; names the sender, never a number.
    """
    whole = _steps(columns, (plan.rows, plan.right), plan.right_bits, sender)
    parts = [whole[:, start : start + plan.together] for start in range(0, plan.right, plan.together)]
    return Factors(tuple(_polynomials(part, plan) for part in parts), tuple(part.shape[1] for part in parts))


def multiplied(
    sealed: Sequence[Sequence[bytes]], factors: Sequence[Factors], plan: ProductPlan, zero: Zero
) -> Products:
    """Ciphertexts that hold the sums of products, each sender's ``sealed`` columns with ``factors``, and nothing else.

    What several senders sealed is multiplied each by its own factors, and added up.
    """
    chunks, pads = [], []
    for left in range(plan.left):
        places = slice(left * plan.blocks, (left + 1) * plan.blocks)
        ciphers = [[unpacked(chunk, plan.scheme) for chunk in each[places]] for each in sealed]
        for group, width in enumerate(factors[0].widths):
            total = zero()
            for mine, theirs in zip(factors, ciphers, strict=True):
                for cipher, plain in zip(theirs, mine.groups[group], strict=True):
                    _add_product(total, cipher, plain, plan)
            mask = _mask(width, plan)
            chunks.append(packed_with(total, mask, plan.scheme))
            pads += [lifted(mask[:, place], plan.scheme) for place in _places(width, plan) if plan.padded]
            breathe()
    return Products(chunks, pads)


def opened(chunks: Sequence[bytes], plan: ProductPlan, context: Any) -> Floats:
    """The sums (left, right) in what an owner multiplied, or (lanes, left, right); ``context`` has the secret key.

    Raises:
        EncryptionError: what is inside is not on the grid of such sums. Nothing is released.
    """
    return _numbers([_rounded(value, plan) for value in _coefficients(chunks, plan, context)], plan)


def opened_padded(chunks: Sequence[bytes], plan: ProductPlan, context: Any) -> bytes:
    """What padded sums are for whoever opens them: uniformly random numbers, each with fresh noise on it."""
    quarter, size = 1 << (plan.scale_bits - 2), _width(plan)
    values = _coefficients(chunks, plan, context)
    shown = ((value + secrets.randbelow(2 * quarter + 1) - quarter) % modulus(plan.scheme) for value in values)
    return b"".join(value.to_bytes(size, "little") for value in shown)


def unpadded(data: bytes, pads: Sequence[int], plan: ProductPlan) -> Floats:
    """The sums (left, right), for the owner that multiplied and knows the pads.

    Raises:
        EncryptionError: what came back is not on the grid of such sums.
    """
    size = _width(plan)
    if len(data) != size * len(pads):
        raise _no_sum()
    values = (int.from_bytes(data[size * i : size * (i + 1)], "little") - pad for i, pad in enumerate(pads))
    return _numbers([_rounded(centred(value, plan.scheme), plan) for value in values], plan)


def _steps(columns: Floats, shape: tuple[int, ...], bits: int, sender: str) -> Floats:
    given = np.asarray(columns, dtype=np.float64)
    if given.shape != shape or not np.isfinite(given).all():
        what = f"of shape {given.shape} where {shape} was agreed on" if given.shape != shape else "that are not finite"
        raise EncryptionError(
            f"{sender!r} gave numbers {what}.",
            "Rows are multiplied one by one, so each side must have the same ones, and every one of them a number.",
            "Align the owners again, and leave missing values out before numbers are multiplied.",
        )
    steps: Floats = np.rint(given * 2.0**bits)
    if (np.einsum("i...,i...->...", steps, steps) > SLACK * len(steps) * 4.0**bits).any():
        raise EncryptionError(
            f"{sender!r} gave a column whose mean square is above 1.",
            "A sum beyond the planned range wraps, and every number in it is then wrong without any sign.",
            "Standardise the column first, or divide it by its root mean square.",
        )
    return steps


def _polynomials(group: Floats, plan: ProductPlan) -> tuple[Any, ...]:
    """For each block of rows the polynomial whose product with a sealed block has the sums at ``_places``."""
    plains = []
    for start in range(0, plan.rows, plan.block):
        part = group[start : start + plan.block]
        turned = np.zeros((plan.together, plan.block))
        turned[: group.shape[1], plan.block - len(part) :] = part.T[:, ::-1]
        plains.append(plaintext(turned.ravel(), plan.scheme))
        breathe()
    return tuple(plains)


def _places(count: int, plan: ProductPlan) -> NDArray[np.int64]:
    """Which coefficients are sums: the last one of each block."""
    return np.arange(count, dtype=np.int64) * plan.block + plan.block - 1


def _add_product(total: Any, cipher: Any, plain: Any, plan: ProductPlan) -> None:
    import tenseal.sealapi as seal

    if plain.is_zero():  # rows that all count for nothing; SEAL refuses the product
        return
    product = seal.Ciphertext()
    guarded("multiply", "a ciphertext", evaluator(plan.scheme).multiply_plain, cipher, plain, product)
    guarded("add", "a product", evaluator(plan.scheme).add_inplace, total, product)


def _mask(count: int, plan: ProductPlan) -> NDArray[np.uint64]:
    """Uniformly random coefficients; but noise of up to a quarter of a step where sums are not to be padded."""
    wire, places = native.wire_of(plan.scheme), _places(count, plan)
    mask = uniform(wire)
    if plan.padded:
        return mask
    quarter = 1 << (plan.scale_bits - 2)
    noise = [secrets.randbelow(2 * quarter + 1) - quarter for _ in places]
    for row, prime in zip(mask, wire.primes, strict=True):
        row[places] = [value % prime for value in noise]
    return mask


def _coefficients(chunks: Sequence[bytes], plan: ProductPlan, context: Any) -> list[int]:
    found: list[int] = []
    for number, chunk in enumerate(chunks):
        held = min(plan.together, plan.right - (number % plan.answers) * plan.together)
        plain = decrypted(context, unpacked(chunk, plan.scheme))
        found += coefficients_of(plain, _places(held, plan), plan.scheme)
        breathe()
    return found


def _width(plan: ProductPlan) -> int:
    return -(-modulus(plan.scheme).bit_length() // 8)


def _rounded(value: int, plan: ProductPlan) -> int:
    """The whole sum in a coefficient: what stands above the scale."""
    half = 1 << (plan.scale_bits - 1)
    whole = (value + half) >> plan.scale_bits
    off = abs(value - (whole << plan.scale_bits))
    if abs(whole) > plan.largest or off > half // 2 + int(plan.noise):
        raise _no_sum()
    return whole


def _numbers(wholes: Sequence[int], plan: ProductPlan) -> Floats:
    """The sums (left, right), lane by lane where there are two, in units of the columns."""
    lanes = []
    rest = list(wholes)
    for _ in range(plan.lanes):
        half = 1 << (plan.lane_bits - 1)
        low = [((value + half) % (2 * half)) - half for value in rest] if plan.lanes > 1 else rest
        rest = [(value - mine) >> plan.lane_bits for value, mine in zip(rest, low, strict=True)]
        steps = np.array(low, dtype=np.float64).reshape(plan.left, plan.right)
        lanes.append(np.ldexp(steps, -plan.left_bits - plan.right_bits))
    return np.stack(lanes) if plan.lanes > 1 else lanes[0]


def _no_sum() -> EncryptionError:
    return EncryptionError(
        "What was opened is not a sum of products on the grid.",
        "It was multiplied or changed in another way than agreed on, and could be anything.",
        "Nothing was released: ask again; there are fresh ciphertexts then.",
    )
