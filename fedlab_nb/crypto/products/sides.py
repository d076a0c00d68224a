"""What each side does: one owner seals columns, another multiplies and adds up, whoever has the key opens sums only.

Who could learn what from the bytes alone:
    the owner that multiplies    nothing of the sealed columns: it has the public key.
    whoever opens    the sums. Every other coefficient of what it opens is added to a uniformly random one (a one-time
        pad); the ciphertext was added to a fresh encryption of zero, so that it could not be compared with the sealed
        columns; and what the right columns made of the noise in a sum is hidden by noise 2**30 times as large.

This is for owners that follow the protocol. One that multiplies by other numbers than its columns, such as 1 in a
single row, gets another sum opened, and nobody can see it in the ciphertext.

Source: Gentry, "A fully homomorphic encryption scheme", 2009, section 21 (hiding a circuit by noise).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.ciphertexts import native
from fedlab_nb.crypto.ciphertexts.codec import decrypted
from fedlab_nb.crypto.ciphertexts.native import breathe, guarded
from fedlab_nb.crypto.products.plan import SLACK, ProductPlan
from fedlab_nb.crypto.products.polynomials import (
    coefficients_of,
    evaluator,
    moved_up,
    packed_with,
    plaintext,
    uniform,
    unpacked,
)
from fedlab_nb.errors import EncryptionError

Floats = NDArray[np.float64]
Progress = Callable[[], None]


def sealed_columns(columns: Floats, plan: ProductPlan, context: Any, *, sender: str) -> list[bytes]:
    """The ciphertexts of ``columns`` (rows, left), column by column; ``context`` has the public key.

    Raises:
        EncryptionError: they are not what the plan says; names the sender, never a number.
    """
    whole = _steps(columns, (plan.rows, plan.left), plan.left_bits, sender)
    wire = native.wire_of(plan.scheme)
    sealed = []
    for column in whole.T:
        for start in range(0, plan.rows, plan.block):
            part = column[start : start + plan.block]
            polynomial = moved_up(np.append(part, np.zeros(wire.ring - part.size)), plan.scale_bits, wire)
            zero = native.encrypted_zero(context, plan.scheme)
            sealed.append(packed_with(zero, polynomial, plan.scheme))
            breathe()
    return sealed


def multiplied(
    chunks: Sequence[bytes], columns: Floats, plan: ProductPlan, context: Any, *, sender: str
) -> list[bytes]:
    """Ciphertexts that hold the sums of products of sealed columns with ``columns`` (rows, right), and nothing else.

    Raises:
        EncryptionError: the columns are not what the plan says; names the sender, never a number.
    """
    whole = _steps(columns, (plan.rows, plan.right), plan.right_bits, sender)
    groups = [whole[:, start : start + plan.together] for start in range(0, plan.right, plan.together)]
    factors = [_factors(group, plan) for group in groups]
    answers = []
    for start in range(0, len(chunks), plan.blocks):
        sealed = [unpacked(chunk, plan.scheme) for chunk in chunks[start : start + plan.blocks]]
        for group, plains in zip(groups, factors, strict=True):
            total = native.encrypted_zero(context, plan.scheme)
            for cipher, plain in zip(sealed, plains, strict=True):
                total = _with_product(total, cipher, plain, plan)
            answers.append(packed_with(total, _mask(group.shape[1], plan), plan.scheme))
            breathe()
    return answers


def opened(chunks: Sequence[bytes], plan: ProductPlan, context: Any) -> Floats:
    """The sums (left, right) in what an owner multiplied; ``context`` has the secret key.

    Raises:
        EncryptionError: what is inside is not on the grid of such sums. Nothing is released.
    """
    found: list[int] = []
    for number, chunk in enumerate(chunks):
        held = min(plan.together, plan.right - (number % plan.answers) * plan.together)
        plain = decrypted(context, unpacked(chunk, plan.scheme))
        found += [_rounded(value, plan) for value in coefficients_of(plain, _places(held, plan), plan.scheme)]
        breathe()
    steps = np.array(found, dtype=np.float64).reshape(plan.left, plan.right)
    return np.ldexp(steps, -plan.left_bits - plan.right_bits)


def _steps(columns: Floats, shape: tuple[int, int], bits: int, sender: str) -> Floats:
    given = np.asarray(columns, dtype=np.float64)
    if given.shape != shape or not np.isfinite(given).all():
        what = f"of shape {given.shape} where {shape} was agreed on" if given.shape != shape else "that are not finite"
        raise EncryptionError(
            f"{sender!r} gave numbers {what}.",
            "Rows are multiplied one by one, so each side must have the same ones, and every one of them a number.",
            "Align the owners again, and leave missing values out before numbers are multiplied.",
        )
    steps: Floats = np.rint(np.ldexp(given, bits))
    if (np.mean(np.ldexp(steps, -bits) ** 2, axis=0) > SLACK).any():
        raise EncryptionError(
            f"{sender!r} gave a column whose mean square is above 1.",
            "A sum beyond the planned range wraps, and every number in it is then wrong without any sign.",
            "Standardise the column first, or divide it by its root mean square.",
        )
    return steps


def _factors(group: Floats, plan: ProductPlan) -> list[Any]:
    """For each block of rows the polynomial whose product with a sealed block has the sums at ``_places``."""
    plains = []
    for start in range(0, plan.rows, plan.block):
        part = group[start : start + plan.block]
        turned = np.zeros((plan.together, plan.block))
        turned[: group.shape[1], plan.block - len(part) :] = part.T[:, ::-1]
        plains.append(plaintext(turned.ravel(), plan.scheme))
    return plains


def _places(count: int, plan: ProductPlan) -> NDArray[np.int64]:
    """Which coefficients are sums: the last one of each block."""
    return np.arange(count, dtype=np.int64) * plan.block + plan.block - 1


def _with_product(total: Any, cipher: Any, plain: Any, plan: ProductPlan) -> Any:
    import tenseal.sealapi as seal

    if plain.is_zero():  # rows that all count for nothing; SEAL refuses the product
        return total
    product, result = seal.Ciphertext(), seal.Ciphertext()
    guarded("multiply", "a ciphertext", evaluator(plan.scheme).multiply_plain, cipher, plain, product)
    guarded("add", "a product", evaluator(plan.scheme).add, total, product, result)
    return result


def _mask(count: int, plan: ProductPlan) -> NDArray[np.uint64]:
    """Uniformly random coefficients, but for the sums' own: there noise of up to a quarter of a step of the grid."""
    wire, places = native.wire_of(plan.scheme), _places(count, plan)
    mask = uniform(wire)
    quarter = 1 << (plan.scale_bits - 2)
    noise = [secrets.randbelow(2 * quarter + 1) - quarter for _ in places]
    for row, prime in zip(mask, wire.primes, strict=True):
        row[places] = [value % prime for value in noise]
    return mask


def _rounded(value: int, plan: ProductPlan) -> int:
    """The whole sum in a coefficient: what stands above the scale."""
    half = 1 << (plan.scale_bits - 1)
    whole = (value + half) >> plan.scale_bits
    off = abs(value - (whole << plan.scale_bits))
    if abs(whole) > plan.largest or off > half // 2 + int(plan.noise):
        raise EncryptionError(
            "What was opened is not a sum of products on the grid.",
            "It was multiplied or changed in another way than agreed on, and could be anything.",
            "Nothing was released: ask again; there are fresh ciphertexts then.",
        )
    return whole
