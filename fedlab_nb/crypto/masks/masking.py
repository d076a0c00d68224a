"""One mask: a short secret drawn out to as many numbers modulo 2**32 as a vector has.

To whoever lacks the secret, a vector with a mask added is a row of random numbers, whatever the vector is.

Source: Nir, Langley, RFC 8439 (ChaCha20); Krawczyk, Eronen, RFC 5869 (HKDF); Langley, Hamburg, Turner, RFC 7748
(X25519).
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from fedlab_nb.crypto.masks.wire import WORD_BYTES, Occasion
from fedlab_nb.errors import EncryptionError

# A block of keystream is added while it is still in the processor's cache: three times faster than all at once.
_BLOCK_WORDS = 16_384
_ZEROS = bytes(WORD_BYTES * _BLOCK_WORDS)
# A key makes one keystream and no other, so the nonce need not make them differ.
_NONCE = bytes(16)


def self_mask_key(occasion: Occasion, name: str, seed: bytes) -> bytes:
    """The 32-byte key of the mask that ``name`` alone adds to its vector, from its secret seed."""
    return _derived(seed, occasion.statement("self mask", name.encode()))


def pair_mask_key(occasion: Occasion, private: X25519PrivateKey, public: bytes, mine: str, theirs: str) -> bytes:
    """The 32-byte key of the mask that two owners share: from the secret key of ``mine``, the public one of ``theirs``.

    Law: the same from either side. The names are part of it: a public key can be disguised so that it agrees on the
    same secret as another, and its owner could then cancel a mask between two others.

    Raises:
        EncryptionError: ``public`` is not a key on which a secret can be agreed; names ``theirs``.
    """
    try:
        secret = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise EncryptionError(
            f"No secret can be agreed on with the mask key of {theirs!r}.",
            "A mask from such a key could be taken off by anybody.",
            f"Nothing was released; start the sum again without {theirs!r}.",
        ) from error
    first, second = sorted([mine, theirs])
    return _derived(secret, occasion.statement("pair mask", first.encode(), second.encode()))


def add_mask(total: NDArray[np.uint32], key: bytes, *, subtract: bool = False) -> None:
    """Add the mask of ``key`` to ``total`` (d,) in place, or subtract it, modulo 2**32.

    The mask is the ChaCha20 keystream of ``key`` from block 0 on, read as little-endian numbers of 32 bits.
    """
    change = np.subtract if subtract else np.add
    stream = Cipher(ChaCha20(key, _NONCE), mode=None).encryptor()
    buffer = bytearray(len(_ZEROS))
    words = np.frombuffer(buffer, dtype="<u4")
    for start in range(0, total.size, _BLOCK_WORDS):
        part = total[start : start + _BLOCK_WORDS]
        stream.update_into(memoryview(_ZEROS)[: WORD_BYTES * part.size], buffer)
        change(part, words[: part.size], out=part)


def _derived(secret: bytes, statement: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=statement).derive(secret)
