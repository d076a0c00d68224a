"""An owner's numbers as the whole steps of a sum's grid that masks are added to, and how many a message holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from fedlab_nb.crypto.masks.owner import MaskingOwner
from fedlab_nb.crypto.masks.wire import SIGNATURE_BYTES, WORD_BYTES
from fedlab_nb.crypto.schemes.plan import Plan


def masked_steps(
    owner: MaskingOwner,
    values: ArrayLike,
    plan: Plan,
    received: Mapping[str, bytes],
    tensors: Sequence[tuple[str, int]] = (),
) -> bytes:
    """At an owner: ``values`` (d,) in steps of the plan's grid modulo 2**32, with all its masks added, and signed.

    Raises:
        EncryptionError: as ``Plan.check`` and ``MaskingOwner.mask``.
    """
    steps = np.rint(np.ldexp(plan.check(values, sender=owner.name, tensors=tensors), plan.grid_bits))
    return owner.mask(steps.astype(np.int64).astype(np.uint32), received)


def numbers_in(masked: bytes) -> int:
    """How many numbers such a message holds."""
    return (len(masked) - SIGNATURE_BYTES) // WORD_BYTES
