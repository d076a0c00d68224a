"""Partial scores of rows, added up for the owner of the labels: with three owners or more it sees their sum only.

Who learns what, if all follow the protocol:
    the owner of the labels    the sum of the other owners' partial scores of each row. With one other owner that is
        this owner's partial score: what it says about the row, all columns together, in one number.
    everybody else    nothing.
Each two of the other owners have a secret in common, from which masks follow that cancel in the sum. The owner of the
labels together with all but one of the others learns the partial scores of that one.

Source: Bonawitz et al. 2017, "Practical secure aggregation for privacy-preserving machine learning", section 4.0.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import Opaque
from fedlab_nb.channel.products import ProductSession
from fedlab_nb.parties.columns.fitting import check_masks
from fedlab_nb.parties.columns.road import product_session, road_of
from fedlab_nb.vertical.shared.meeting import Meeting, Mine

Floats = NDArray[np.float64]
Whole = NDArray[np.uint64]

# Partial scores cross as whole numbers of this many bits after the point, modulo 2**64.
_BITS = 24


def add_up_scores(at: Meeting, weights: Mapping[str, Floats], own: str) -> None:
    """Leave the sum over owners of columns @ weights, (n, outputs), under ``own`` at the owner of the labels.

    ``weights`` has each owner's own (d, outputs), flat, that of the owner of the labels with an intercept as its last
    row.

    Raises:
        RoundError: an owner failed; nobody has learned more than what crossed.
    """
    if len(at.others) == 1:
        other = at.others[0]
        alone = at.send("partial score", partial(_partial, at=at, w=weights[other]), sender=other, to=at.labels_at)
    else:
        # Masks are used once: joint predictions between two rounds, or a round tried again, have other ones.
        purpose = f"mask of partial scores {at.number} {at.part} {road_of(at.federation).token()}"
        scheme = check_masks(at.federation.house.encrypt, "A sum of partial scores")
        session = product_session(at.federation, scheme, at.number)  # which all parties begin, if there is none
        masks = partial(_mask, session, purpose)
        masked = {name: partial(_masked, at=at, w=weights[name], mask_of=masks) for name in at.others}
        came = [at.send("partial score, masked", work, sender=name, to=at.labels_at) for name, work in masked.items()]

    def add(mine: Mine) -> None:
        w = _shaped(weights[mine.name], at)
        scores = mine.X @ w[:-1] + w[-1]
        mine.memory[own] = scores + (alone if len(at.others) == 1 else _unmasked(came, scores.shape))

    at.own("joint scores", add, at=at.labels_at)


def _partial(mine: Mine, at: Meeting, w: Floats) -> Floats:
    return np.asarray(mine.X @ _shaped(w, at))


def _masked(mine: Mine, at: Meeting, w: Floats, mask_of: Callable[[str, str, int], Whole]) -> Opaque:
    """At one of the other owners: its partial scores on a grid, plus a mask shared with each of the others."""
    steps = np.rint(np.ldexp(mine.X @ _shaped(w, at), _BITS)).astype(np.int64).astype(np.uint64)
    place = at.others.index(mine.name)
    for where, other in enumerate(at.others):
        if where != place:
            mask = mask_of(mine.name, other, steps.size).reshape(steps.shape)
            steps = steps + mask if where > place else steps - mask
    return Opaque(steps.tobytes(), "partial scores under masks that cancel in the sum", plain_nbytes=8 * steps.size)


def _shaped(flat: Floats, at: Meeting) -> Floats:
    return flat.reshape(-1, at.setup.outputs)


def _unmasked(came: Sequence[Opaque], shape: tuple[int, ...]) -> Floats:
    """The sum of all partial scores: modulo 2**64 the masks are gone."""
    parts = [np.frombuffer(each.data, dtype="<u8") for each in came]
    total = np.sum(parts, axis=0, dtype=np.uint64).astype(np.int64).astype(np.float64)
    return np.asarray(np.ldexp(total, -_BITS).reshape(shape))


def _mask(session: ProductSession, purpose: str, mine: str, other: str, count: int) -> Whole:
    """Numbers (count,) that only these two owners know, other ones for every purpose."""
    seed = session.shared_secret(mine, other, purpose)
    return np.frombuffer(hashlib.shake_256(seed).digest(8 * count), dtype="<u8").astype(np.uint64)
