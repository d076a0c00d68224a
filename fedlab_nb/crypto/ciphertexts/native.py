"""What is asked of SEAL itself, and the one place where its failures become errors of ours.

SEAL's encoders and encryptors are faster than TenSEAL's vectors around them, and know complex slots.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from fedlab_nb.crypto.ciphertexts.words import Wire
from fedlab_nb.crypto.schemes.bfv import BFV, PLAIN_MODULUS
from fedlab_nb.crypto.schemes.ckks import CKKS
from fedlab_nb.crypto.schemes.plan import Plan
from fedlab_nb.errors import EncryptionError

T = TypeVar("T")

_FILE_LOCK = threading.Lock()


def guarded(step: str, what: str, call: Callable[..., T], *args: object, **settings: object) -> T:
    """The result of one call of TenSEAL or SEAL, named by ``step`` and ``what``.

    Raises:
        EncryptionError: the call failed.
    """
    try:
        return call(*args, **settings)
    except (ValueError, RuntimeError, TypeError) as error:
        raise EncryptionError(
            f"TenSEAL could not {step} {what} ({error}).",
            "A damaged or foreign ciphertext or key must not reach the sum.",
            "Seal again with the key holder's current public key; if it happens again, restart the kernel.",
        ) from error


def breathe() -> None:
    """Let other threads have a turn, such as a notebook's: SEAL holds them up for a whole call, about a millisecond."""
    time.sleep(0)


def new_context(scheme: CKKS | BFV) -> Any:
    """A TenSEAL context with a fresh secret key."""
    import tenseal

    exact = isinstance(scheme, BFV)
    return guarded(
        "make keys with",
        "the fixed parameters",
        tenseal.context,
        tenseal.SCHEME_TYPE.BFV if exact else tenseal.SCHEME_TYPE.CKKS,
        scheme.ring,
        **({"plain_modulus": PLAIN_MODULUS} if exact else {}),
        coeff_mod_bit_sizes=list(scheme.prime_bits),
        encryption_type=tenseal.ENCRYPTION_TYPE.ASYMMETRIC,
        n_threads=1,
    )


def encrypted(context: Any, plan: Plan, plain: Any) -> bytes:
    """A fresh ciphertext of a SEAL plaintext, as it travels."""
    import tenseal.sealapi as seal

    cipher, wire = seal.Ciphertext(), wire_of(plan.scheme)
    guarded("encrypt", "numbers", _encryptor(context, plan.scheme, plan.layout.lean).encrypt, plain, cipher)
    return wire.pack(wire.words_of_seal(saved(cipher)))


def encrypted_zero(context: Any, scheme: Hashable) -> Any:
    """A fresh SEAL ciphertext of zero under a TenSEAL context's public key; added to another, it hides its past."""
    import tenseal.sealapi as seal

    cipher = seal.Ciphertext()
    guarded("encrypt", "zero", _encryptor(context, scheme, False).encrypt_zero, cipher)
    return cipher


@lru_cache(maxsize=8)
def wire_of(scheme: Hashable) -> Wire:
    """The shape of ciphertexts under a scheme's parameters."""
    return Wire.of(seal_context(scheme))


@lru_cache(maxsize=8)
def encoder(scheme: Hashable) -> Any:
    """SEAL's encoder of CKKS numbers, real or complex."""
    import tenseal.sealapi as seal

    return seal.CKKSEncoder(seal_context(scheme))


@lru_cache(maxsize=2)
def batch_encoder(scheme: Hashable) -> Any:
    """SEAL's encoder of BFV whole numbers."""
    import tenseal.sealapi as seal

    return seal.BatchEncoder(seal_context(scheme))


@lru_cache(maxsize=8)
def seal_context(scheme: Hashable) -> Any:
    """SEAL's own context of a scheme's parameters: no keys, and no private context kept alive."""
    import tenseal.sealapi as seal

    if not isinstance(scheme, CKKS | BFV):
        raise TypeError(f"{scheme!r} has no ciphertexts")
    return _context(scheme, seal.CoeffModulus.Create(scheme.ring, list(scheme.prime_bits)))


def _context(scheme: CKKS | BFV, primes: list[Any]) -> Any:
    import tenseal.sealapi as seal

    exact = isinstance(scheme, BFV)
    settings = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV if exact else seal.SCHEME_TYPE.CKKS)
    settings.set_poly_modulus_degree(scheme.ring)
    settings.set_coeff_modulus(primes)
    if exact:
        settings.set_plain_modulus(PLAIN_MODULUS)
    return seal.SEALContext(settings, True, seal.SEC_LEVEL_TYPE.TC128)


@lru_cache(maxsize=4)
def _encryptor(context: Any, scheme: Hashable, lean: bool) -> Any:
    """SEAL's encryptor with the public key of a TenSEAL context.

    A ``lean`` one works modulo the primes that travel and no others. The public key modulo these is a public key of the
    same secret one; a third of the work is saved, for more noise (see ``CKKS.noise``).
    """
    import tenseal.sealapi as seal

    outer, key = context.seal_context(), context.public_key()
    if not lean or not isinstance(scheme, CKKS | BFV):
        return seal.Encryptor(outer.data, key.data)
    wire = wire_of(scheme)
    inner = _context(scheme, [seal.Modulus(prime) for prime in wire.primes])
    both = Wire(wire.ring, (*wire.primes, 0), wire.identity, exact=False).words_of_seal(saved(key.data))
    short = seal.PublicKey()
    load(short, inner, Wire.of(inner).to_seal(both[:, : len(wire.primes)]))
    return seal.Encryptor(inner, short)


def saved(thing: Any) -> bytes:
    """The bytes of a SEAL object, which its binding writes to files only: to one in memory where there are such."""
    with _FILE_LOCK, _File() as file:
        thing.save(file.path)
        return file.read()


def load(thing: Any, context: Any, data: bytes, what: str = "a public key") -> None:
    """Read a SEAL object from bytes that our own code wrote around checked coefficients."""
    with _FILE_LOCK, _File() as file:
        file.write(data)
        guarded("read", what, thing.load, context, file.path)


class _File:
    """A file of one's own for a moment."""

    def __enter__(self) -> _File:
        self._folder = None if hasattr(os, "memfd_create") else tempfile.TemporaryDirectory()
        if self._folder is None:
            self._place = _memory()
            os.ftruncate(self._place, 0)
            self.path = f"/proc/self/fd/{self._place}"
        else:
            self.path = str(Path(self._folder.name) / "seal")
        return self

    def read(self) -> bytes:
        if self._folder is None:
            return os.pread(self._place, os.fstat(self._place).st_size, 0)
        return Path(self.path).read_bytes()

    def write(self, data: bytes) -> None:
        if self._folder is None:
            os.pwrite(self._place, data, 0)
        else:
            Path(self.path).write_bytes(data)

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()


@lru_cache(maxsize=1)
def _memory() -> int:
    return os.memfd_create("seal")
