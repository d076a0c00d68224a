"""Numbers into ciphertexts and back: one number a slot, two in a complex slot, or whole numbers packed in fields.

A codec says how; the loops over ciphertexts, and all checks, are elsewhere. Numbers are on the plan's grid.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.ciphertexts import native
from fedlab_nb.crypto.ciphertexts.native import guarded
from fedlab_nb.crypto.schemes.bfv import BFV, FIELD_BITS
from fedlab_nb.crypto.schemes.ckks import CKKS
from fedlab_nb.crypto.schemes.plan import Plan
from fedlab_nb.errors import EncryptionError

Floats = NDArray[np.float64]


class Codec(Protocol):
    """How numbers on a grid become a ciphertext and come back; the context is TenSEAL's."""

    def encrypt(self, context: Any, numbers: Floats, plan: Plan) -> bytes:
        """A fresh ciphertext of (k,) numbers, as it travels; the context has a public key."""

    def read(self, context: Any, chunk: bytes, count: int, plan: Plan) -> Any:
        """A TenSEAL vector that can be added to others of ``count`` numbers; the context needs no key."""

    def decrypt(self, context: Any, chunk: bytes, count: int, plan: Plan) -> Floats:
        """The (count,) numbers in a ciphertext, not rounded yet; the context has the secret key."""


def codec_of(plan: Plan) -> Codec:
    """The codec of a plan's scheme."""
    if isinstance(plan.scheme, BFV):
        return Fields()
    if isinstance(plan.scheme, CKKS):
        return ComplexSlots() if plan.scheme.complex_slots else RealSlots()
    raise TypeError(f"{plan.scheme!r} has no ciphertexts")


def decrypted(context: Any, cipher: Any) -> Any:
    """SEAL's plaintext in one of its ciphertexts; the context has the secret key."""
    import tenseal.sealapi as seal

    decryptor, plain = context.decryptor(), seal.Plaintext()
    guarded("decrypt", "the sum", decryptor.data.decrypt, cipher, plain)
    return plain


class RealSlots:
    """CKKS, one number in each slot."""

    def encrypt(self, context: Any, numbers: Floats, plan: Plan) -> bytes:
        """A fresh ciphertext of (k,) numbers, as it travels."""
        import tenseal.sealapi as seal

        plain = seal.Plaintext()
        guarded("encode", "numbers", native.encoder(plan.scheme).encode, self._filled(numbers), plan.scale, plain)
        return native.encrypted(context, plan, plain)

    def read(self, context: Any, chunk: bytes, count: int, plan: Plan) -> Any:
        """A TenSEAL vector that can be added to others of ``count`` numbers."""
        import tenseal

        data = native.wire_of(plan.scheme).to_tenseal(chunk, scale=plan.scale, size=self._slots(count))
        return guarded("read", "a ciphertext", tenseal.ckks_vector_from, context, data)

    def decrypt(self, context: Any, chunk: bytes, count: int, plan: Plan) -> Floats:
        """The (count,) numbers in a ciphertext, not rounded yet."""
        loaded = self.read(context, chunk, count, plan)
        return np.asarray(guarded("decrypt", "the sum", loaded.decrypt), dtype=np.float64)

    def _slots(self, count: int) -> int:
        return count

    def _filled(self, numbers: Floats) -> list[Any]:
        filled: list[Any] = numbers.tolist()
        return filled


class ComplexSlots(RealSlots):
    """CKKS, two numbers in each slot: the real and the imaginary part. TenSEAL adds these as it adds any others."""

    def decrypt(self, context: Any, chunk: bytes, count: int, plan: Plan) -> Floats:
        """The (count,) numbers in a ciphertext, not rounded yet."""
        # Each in a variable: what SEAL's objects hand out lies in their memory, which ends with them.
        loaded = self.read(context, chunk, count, plan)
        cipher = loaded.ciphertext()[0]
        plain = decrypted(context, cipher)
        decoded = guarded("decode", "the sum", native.encoder(plan.scheme).decode_complex, plain)
        return np.asarray(decoded[: self._slots(count)], dtype=np.complex128).view(np.float64)[:count]

    def _slots(self, count: int) -> int:
        return -(-count // 2)

    def _filled(self, numbers: Floats) -> list[Any]:
        filled: list[Any] = np.append(numbers, np.zeros(numbers.size % 2)).view(np.complex128).tolist()
        return filled


class Fields:
    """BFV: whole steps of the grid, one or two in each slot: high * 2**20 + low."""

    def encrypt(self, context: Any, numbers: Floats, plan: Plan) -> bytes:
        """A fresh ciphertext of (k,) numbers, as it travels."""
        import tenseal.sealapi as seal

        steps = np.rint(np.ldexp(numbers, plan.grid_bits)).astype(np.int64)
        if self._packed(plan):
            steps = np.append(steps, np.zeros(steps.size % 2, dtype=np.int64))
            steps = (steps[0::2] << FIELD_BITS) + steps[1::2]
        plain = seal.Plaintext()
        guarded("encode", "numbers", native.batch_encoder(plan.scheme).encode, steps.tolist(), plain)
        return native.encrypted(context, plan, plain)

    def read(self, context: Any, chunk: bytes, count: int, plan: Plan) -> Any:
        """A TenSEAL vector that can be added to others of ``count`` numbers."""
        import tenseal

        slots = -(-count // 2) if self._packed(plan) else count
        data = native.wire_of(plan.scheme).to_tenseal(chunk, scale=1.0, size=slots)
        return guarded("read", "a ciphertext", tenseal.bfv_vector_from, context, data)

    def decrypt(self, context: Any, chunk: bytes, count: int, plan: Plan) -> Floats:
        """The (count,) numbers in a ciphertext."""
        loaded = self.read(context, chunk, count, plan)
        decryptor, cipher = context.decryptor(), loaded.ciphertext()[0]
        if decryptor.data.invariant_noise_budget(cipher) < 1:
            raise EncryptionError(
                "The noise budget of a BFV ciphertext is spent.",
                "What it opens to is not the sum: it was changed on the way, or too much was added.",
                "Nothing was released: seal again, with fewer owners in one sum.",
            )
        steps = np.asarray(guarded("decrypt", "the sum", loaded.decrypt), dtype=np.int64)
        if self._packed(plan):
            half = 1 << (FIELD_BITS - 1)
            low = ((steps + half) & ((1 << FIELD_BITS) - 1)) - half
            steps = np.stack([(steps - low) >> FIELD_BITS, low], axis=1).reshape(-1)[:count]
        return np.ldexp(steps.astype(np.float64), -plan.grid_bits) + 0.0

    @staticmethod
    def _packed(plan: Plan) -> bool:
        return plan.layout.numbers == 2 * BFV.ring
