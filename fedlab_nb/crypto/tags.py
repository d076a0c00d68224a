"""Tags: numbers beside each owner's own in every ciphertext, which add up only if each owner is in the sum once.

Every owner fills the last places of each ciphertext with numbers that follow from a secret seed and the manifest
digest. Whoever opens the sum knows all seeds and compares: an owner left out, counted twice, scaled, replaced by an
old ciphertext or damaged shows before anything is released, and is named. Guessing tags succeeds once in 2**64.

Tags are the second line. What they do not show: numbers of its own that a server adds, sealed, with tags of zero; and
one owner's numbers among everybody's tags, which a server gets from vectors of a few numbers by multiplying ciphertexts
by public polynomials. Therefore owners first vouch for the sum coefficient by coefficient (vouching/).
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.manifest import Manifest
from fedlab_nb.crypto.schemes.ckks import SAFETY
from fedlab_nb.errors import EncryptionError

Floats = NDArray[np.float64]
_MOST_TIMES = 64


def tag_seed(secret: bytes, manifest: Manifest) -> bytes:
    """The 32 bytes from which one owner's tags in one sum follow; they tell nothing about those in another."""
    return hmac.new(secret, manifest.digest.encode(), hashlib.sha256).digest()


def tags(seed: bytes, manifest: Manifest, chunk: int) -> Floats:
    """One owner's tags in ciphertext number ``chunk``: (plan.tags,) numbers on the grid within the bound."""
    plan = manifest.plan
    steps = int(math.ldexp(plan.bound, plan.grid_bits))
    stream = hashlib.shake_256(seed + chunk.to_bytes(8, "little")).digest(16 * plan.tags)
    # 128 bits for at most 2**43 values: the remainder is uniform to within 2**-85.
    words = [int.from_bytes(stream[at : at + 16], "little") for at in range(0, len(stream), 16)]
    drawn = np.array([word % (2 * steps + 1) - steps for word in words], dtype=np.float64)
    return np.ldexp(drawn, -plan.grid_bits) + 0.0


def tagged(vector: Floats, seed: bytes, manifest: Manifest) -> list[Floats]:
    """A vector on the grid, cut into ciphertexts' worth, each with its tags at the end."""
    parts = manifest.plan.parts(vector)
    return [np.append(part, tags(seed, manifest, chunk)) for chunk, part in enumerate(parts)]


def untagged(parts: Sequence[Floats], seeds: Mapping[str, bytes], manifest: Manifest) -> Floats:
    """The opened sum (d,) without its tags, rounded to the grid, once all tags and numbers have been found right.

    Raises:
        EncryptionError: naming the owner that was left out or counted more than once, where that can be told.
    """
    plan = manifest.plan
    numbers: list[Floats] = []
    for chunk, part in enumerate(parts):
        rounded, held = plan.grid(part), manifest.held(chunk)
        own = {name: tags(seed, manifest, chunk) for name, seed in seeds.items()}
        off = rounded[held:] - np.sum(list(own.values()), axis=0)
        if off.shape != (plan.tags,) or off.any():
            raise _wrong(off, own)
        # An honest sum decrypts to within 16 sigma of the grid and cannot exceed all owners at the bound.
        near = np.abs(part - rounded) <= SAFETY * plan.layout.noisiest
        if not np.all(near & (np.abs(rounded) <= len(seeds) * plan.largest)):
            raise _wrong(off, own)
        numbers.append(rounded[:held])
    return np.concatenate(numbers)


def _wrong(off: Floats, own: Mapping[str, Floats]) -> EncryptionError:
    """What went wrong, as far as the tags tell: whose are missing, or there too often."""
    what = "What was opened is not the sum of the owners of this round."
    for name, mine in own.items():
        if off.shape == mine.shape and np.array_equal(off, -mine):
            what = f"{name!r} is missing from the sum."
        times = [k for k in range(2, _MOST_TIMES) if off.shape == mine.shape and np.array_equal(off, (k - 1) * mine)]
        if mine.any() and times:
            what = f"{name!r} is in the sum {times[0]} times."
    return EncryptionError(
        what,
        "A ciphertext was left out, repeated, scaled, exchanged or damaged after it was sealed.",
        "Nothing was released: begin the round anew; it has fresh keys.",
    )
