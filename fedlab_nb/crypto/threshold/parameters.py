"""The one set of encryption parameters for keys that nobody holds alone, and the contexts made from it.

Ring 4096 and two primes of 54 bits: 108 bits of modulus, where the homomorphic encryption standard allows 109 for
128-bit security. The second prime never travels; encryption divides it away, and most of its noise with it.

Source: Albrecht et al., "Homomorphic encryption security standard", 2018, table 1.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import numpy as np

from fedlab_nb.crypto.ciphertexts.words import Wire, varint
from fedlab_nb.crypto.threshold.ring import Ring, Words

RING = 4096
PRIME_BITS = (54, 54)
SLOTS = RING // 2

# How SEAL begins what it writes, and what TenSEAL writes behind it: the scale of a ciphertext, and the settings of a
# context, which are the last bytes of one without keys.
_SEAL, _SCALE_BYTES, _SETTINGS_BYTES = b"\x5e\xa1", 9, 11


@lru_cache(maxsize=1)
def seal_context() -> Any:
    """SEAL's own context of the parameters, at its level of 128-bit security."""
    from tenseal import sealapi

    settings = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS)
    settings.set_poly_modulus_degree(RING)
    settings.set_coeff_modulus(sealapi.CoeffModulus.Create(RING, list(PRIME_BITS)))
    return sealapi.SEALContext(settings, True, sealapi.SEC_LEVEL_TYPE.TC128)


@lru_cache(maxsize=1)
def rings() -> tuple[Ring, ...]:
    """Arithmetic modulo each prime; the first is that of the ciphertexts."""
    found = seal_context().key_context_data().parms().coeff_modulus()
    return tuple(Ring(modulus.value(), RING) for modulus in found)


@lru_cache(maxsize=1)
def parameters() -> bytes:
    """About 80 bytes, no key at all, with which a server makes a TenSEAL context to add in.

    Example:
        >>> len(parameters()) < 200
        True
    """
    import tenseal

    made = tenseal.context(tenseal.SCHEME_TYPE.CKKS, RING, coeff_mod_bit_sizes=list(PRIME_BITS), n_threads=1)
    return bytes(
        made.serialize(save_public_key=False, save_secret_key=False, save_galois_keys=False, save_relin_keys=False)
    )


@lru_cache(maxsize=1)
def wire() -> Wire:
    """How ciphertexts of these parameters travel."""
    return Wire.of(seal_context())


def public_context(b: Words, a: Words) -> bytes:
    """TenSEAL's bytes of a context that seals for the public key (``b``, ``a``), each (2, N), and opens nothing."""
    # TenSEAL makes all its public keys itself, but reads one that is written as a ciphertext is, with all primes.
    primes = tuple(ring.prime for ring in rings())
    keys = Wire(RING, primes, struct.pack("<4Q", *seal_context().key_parms_id()), exact=False)
    written = keys.to_tenseal(keys.pack(np.stack([b, a]).view(np.uint64)), scale=1.0, size=1)
    key = _field(1, written[written.index(_SEAL) : -_SCALE_BYTES])
    bare, settings = parameters()[:-_SETTINGS_BYTES], parameters()[-_SETTINGS_BYTES:]
    # Two bytes before the settings say that they follow and how long they are.
    return bare[:-2] + _field(2, key + settings)


def _field(number: int, inside: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(inside)) + inside
