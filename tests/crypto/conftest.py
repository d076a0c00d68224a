"""One key holder and the parties that know its public parts."""

from typing import NamedTuple

import numpy as np
import pytest

from fedlab_nb.crypto import CKKS, Adder, KeyHolder, Plan, Sealed, Sealer


class Trio(NamedTuple):
    holder: KeyHolder
    owner: Sealer
    server: Adder

    def seal_all(self, vectors, plan: Plan) -> list[Sealed]:
        return [self.owner.seal(v, plan, sender=f"owner {i}") for i, v in enumerate(vectors)]

    def total(self, vectors, plan: Plan) -> np.ndarray:
        return self.holder.open(self.server.add(self.seal_all(vectors, plan), plan), plan, expected=len(vectors))


@pytest.fixture(scope="session")
def trio() -> Trio:
    holder = KeyHolder.create()
    return Trio(holder, Sealer(holder.public_key), Adder(holder.parameters))


@pytest.fixture
def plan() -> Plan:
    return CKKS().plan(bound=1.0, owners=4)
