"""Keys that nobody holds alone: every owner has a share, and a sum is opened only by all of them together.

Works on TenSEAL as it is: the joint public key is an ordinary one, sums are added as always, and only opening is done
here, on the words of the ciphertexts. Read joint.py first (the key, and what an owner does), then request.py (why a
server cannot have one owner's numbers opened), opening.py (the shares) and smudge.py (what the shares give away).

All owners of a key must take part in every opening. A server alone can read nothing, whatever it does; a server and
some owners, who follow the protocol and put together what they know, learn the sum of the others' numbers.
"""

from fedlab_nb.crypto.threshold.joint import JointOwner
from fedlab_nb.crypto.threshold.key import JointKey
from fedlab_nb.crypto.threshold.opening import OPENING_BYTES, PartialOpening, fuse
from fedlab_nb.crypto.threshold.parameters import PRIME_BITS, RING, SLOTS, parameters
from fedlab_nb.crypto.threshold.request import OpeningRequest, digest
from fedlab_nb.crypto.threshold.smudge import SMUDGE_BITS, bits_lost, openings_limit, sigma

__all__ = [
    "OPENING_BYTES",
    "PRIME_BITS",
    "RING",
    "SLOTS",
    "SMUDGE_BITS",
    "JointKey",
    "JointOwner",
    "OpeningRequest",
    "PartialOpening",
    "bits_lost",
    "digest",
    "fuse",
    "openings_limit",
    "parameters",
    "sigma",
]
