"""No secrecy: each owner sends its numbers to the server, which reads them all and adds.

Who learns what: the server learns every update; other owners learn nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.aggregate import total
from fedlab_nb.channel.opening import Tensors
from fedlab_nb.crypto import Plan
from fedlab_nb.ledger import Ledger
from fedlab_nb.records import Update

Floats = NDArray[np.float64]


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
            gridded = [Update(plan.grid(vector), 1.0) for vector in vectors.values()]
            for name, update in zip(vectors, gridded, strict=True):
                self._ledger.post(number, name, "server", kind, update.value)
            return total(gridded).value
