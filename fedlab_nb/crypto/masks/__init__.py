"""Secure aggregation by masks: the server adds vectors that it cannot read, and owners may drop out half-way.

Every two owners agree on a mask that one adds and the other subtracts, so that all of these cancel in the sum; each
owner adds one more mask of its own. What is needed to take the masks of an owner off is shared among all of them, so
that a large enough group of owners can help, and only with the sum. Sums are exact modulo 2**32.

Read owner.py first (the stages of one sum), then server.py (taking the masks off), then shamir.py, masking.py and
wire.py (sharing a secret, one mask, the bytes that travel).

Source: Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS 2017, Figure 4.

Example:
    >>> import numpy as np
    >>> from fedlab_nb.crypto.identity import Identity
    >>> from fedlab_nb.crypto.masks import MaskingOwner, default_threshold, unmask
    >>> keys = {name: Identity() for name in ["A", "B", "C", "D"]}
    >>> public = {name: key.public for name, key in keys.items()}
    >>> occasion = {"session": b"autumn course", "context": "round 1"}
    >>> owners = {name: MaskingOwner(name, key, **occasion) for name, key in keys.items()}
    >>> adverts = {name: owner.advertise() for name, owner in owners.items()}
    >>> sent = {name: owner.share(adverts, public, default_threshold(4)) for name, owner in owners.items()}
    >>> masked = {}
    >>> for name in "ABC":  # D has shared, and is gone before it sends its vector
    ...     received = {sender: shares[name] for sender, shares in sent.items() if sender != name}
    ...     masked[name] = owners[name].mask(np.array([1, 2], dtype=np.uint32), received)
    >>> signed = {name: owners[name].confirm(["A", "B", "C"]) for name in "ABC"}
    >>> revealed = {name: owners[name].reveal(signed) for name in "ABC"}
    >>> unmask(masked, adverts, revealed, 3, **occasion, names=list("ABCD"), identities=public)
    array([3, 6], dtype=uint32)
"""

from fedlab_nb.crypto.masks.owner import MaskingOwner
from fedlab_nb.crypto.masks.server import default_threshold, unmask
from fedlab_nb.crypto.masks.steps import masked_steps, numbers_in

__all__ = ["MaskingOwner", "default_threshold", "masked_steps", "numbers_in", "unmask"]
