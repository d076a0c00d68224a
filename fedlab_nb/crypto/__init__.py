"""Sealed sums: owners encrypt, the server adds what it cannot read, the key holder opens only the sum.

The only room that knows TenSEAL, and it loads it when something is first sealed, added or opened. Read ckks.py first
(what is planned in public), then seal.py (owners and server), then keys.py (the secret key).
"""

from fedlab_nb.crypto.ckks import CKKS, Plan
from fedlab_nb.crypto.keys import KeyHolder
from fedlab_nb.crypto.seal import Adder, Sealed, Sealer

__all__ = ["CKKS", "Adder", "KeyHolder", "Plan", "Sealed", "Sealer"]
