"""Sums of what nobody can read: owners seal or mask, the server adds, and only the sum is ever opened.

The only room that knows TenSEAL, and it loads it when something is first sealed, added or opened. Read schemes/ first
(what is chosen and planned in public), then envelope.py, seal.py (owners and server), keys.py (the secret key); then
threshold/ (a key that nobody holds) and masks/ (no key at all).
"""

from fedlab_nb.crypto.envelope import Mailbox, Sealed
from fedlab_nb.crypto.identity import Identity
from fedlab_nb.crypto.keys import KeyHolder
from fedlab_nb.crypto.manifest import Manifest
from fedlab_nb.crypto.schemes import BFV, CKKS, Plan, SecAgg
from fedlab_nb.crypto.seal import Adder, Sealer
from fedlab_nb.crypto.vouching import Request

__all__ = [
    "BFV",
    "CKKS",
    "Adder",
    "Identity",
    "KeyHolder",
    "Mailbox",
    "Manifest",
    "Plan",
    "Request",
    "Sealed",
    "Sealer",
    "SecAgg",
]
