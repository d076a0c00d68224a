"""Python loads this file at the start of every process of the federations tested here; it acts in parties' own alone.

There an owner can be made to wait at a step, so that a test finds everything at the same place each time; and a key
holder tells what its secret key looks like in memory, so that a test knows what to look for elsewhere.
"""

import os
import sys
import time
from functools import wraps
from pathlib import Path


def _wait_at_gates(folder: Path) -> None:
    from fedlab_nb.flower.orders.owner import OwnersSide

    inner = OwnersSide.compute

    @wraps(inner)
    def compute(self, kind, work, look, *more):
        gate = folder / f"{self.name} {kind} {look.number}"
        if gate.exists():
            gate.with_suffix(".here").write_text(str(os.getpid()))
            while gate.exists():
                time.sleep(0.02)
        return inner(self, kind, work, look, *more)

    OwnersSide.compute = compute


def _tell_of_keys(folder: Path) -> None:
    from fedlab_nb.crypto.keys import KeyHolder

    inner = KeyHolder._begin

    @wraps(inner)
    def begin(self, scheme, session, seed, context, *more):
        inner(self, scheme, session, seed, context, *more)
        key = context.secret_key().data.data()
        words = b"".join(key[i].to_bytes(8, "little") for i in range(key.coeff_count()))
        new = folder / f"key {os.getpid()}.new"
        new.write_bytes(seed + words)
        new.rename(new.with_suffix(".secret"))

    KeyHolder._begin = begin


if "FEDLAB_TEST_FOLDER" in os.environ and "fedlab_nb.flower.party.process" in sys.orig_argv:
    _wait_at_gates(Path(os.environ["FEDLAB_TEST_FOLDER"]))
    _tell_of_keys(Path(os.environ["FEDLAB_TEST_FOLDER"]))
