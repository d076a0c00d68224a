"""No secrecy: each owner sends its numbers to the server, which reads them all and adds.

Who learns what: the server learns every update; other owners learn nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.crypto import Plan
from fedlab_nb.ledger import Ledger

Floats = NDArray[np.float64]

# Bytes of owners' numbers that are rounded, recorded and added in one go: they are still in a processor's cache then.
_AT_ONCE = 1_000_000


class PlainChannel:
    """The sum as the server computes it from numbers that it can read."""

    fingerprint = ""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def sum(
        self,
        kind: str,
        vectors: Mapping[str, Floats],
        plan: Plan,
        number: int,
        *,
        absent: Sequence[str] = (),  # noqa: ARG002 - who sends nothing is simply not added
        tensors: Tensors = (),  # noqa: ARG002 - numbers have been looked at before they left the rows
    ) -> Floats:
        """The sum (d,) of each owner's numbers on the plan's grid, the same to the bit as any sealed one."""
        with self._ledger.stage("add"):
            summed: Floats | None = None
            for sent in _batches(vectors, plan):
                self._ledger.post_each(number, "server", kind, sent)
                for vector in sent.values():
                    summed = vector.copy() if summed is None else np.add(summed, vector, out=summed)
            return np.zeros(0) if summed is None else summed


def _batches(vectors: Mapping[str, Floats], plan: Plan) -> Iterator[dict[str, Floats]]:
    """Each owner's numbers on the plan's grid, a few owners' at a time, as nobody writes to them any more.

    ``vectors`` may have ``anew``: what they give is made for who asks, and is rounded where it is.
    """
    sent: dict[str, Floats] = {}
    anew = getattr(vectors, "anew", False)
    for name in vectors:
        vector = vectors[name]
        sent[name] = plan.grid(vector, out=vector if anew else None)
        sent[name].setflags(write=False)
        if len(sent) * sent[name].nbytes >= _AT_ONCE:
            yield sent
            sent = {}
    if sent:
        yield sent
