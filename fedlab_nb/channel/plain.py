"""No secrecy: each owner sends its numbers to the server, which reads them all and adds.

Who learns what: the server learns every update; other owners learn nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.crypto import Plan
from fedlab_nb.ledger import Ledger

Floats = NDArray[np.float64]

# Owners' numbers that are rounded, recorded and added in one go: memory for all of them at once is asked for nowhere.
_AT_ONCE = 64


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
            names = [*vectors]
            for first in range(0, len(names), _AT_ONCE):
                sent = {name: _fixed(plan.grid(vectors[name])) for name in names[first : first + _AT_ONCE]}
                self._ledger.post_each(number, "server", kind, sent)
                for vector in sent.values():
                    summed = vector.copy() if summed is None else np.add(summed, vector, out=summed)
            return np.zeros(0) if summed is None else summed


def _fixed(vector: Floats) -> Floats:
    """What nobody writes to any more: the ledger keeps it as it is."""
    vector.setflags(write=False)
    return vector
