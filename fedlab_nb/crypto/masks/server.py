"""The server's side of one secure sum: add what cannot be read, and take the masks off the sum alone.

Source: Bonawitz et al., CCS 2017, Figure 4, round 4; section 6.2 for the threshold against a server that lies.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from fedlab_nb.crypto.masks import checks, shamir, wire
from fedlab_nb.crypto.masks.masking import add_mask, pair_mask_key, self_mask_key
from fedlab_nb.errors import EncryptionError, SettingError


def default_threshold(n: int) -> int:
    """How many of ``n`` owners have to stay to the end: two thirds rounded down, plus one.

    With it a server that lies, helped by fewer than a third of the owners, learns no more than one that does not.

    Raises:
        SettingError: fewer than two owners.

    Source: Bonawitz et al., CCS 2017, section 6.2.

    Example:
        >>> [default_threshold(n) for n in (2, 3, 4, 10, 50)]
        [2, 3, 3, 7, 34]
    """
    if n < 2:
        raise SettingError(
            f"{n} owners cannot hide in a sum of their own.",
            "The sum of one vector is that vector.",
            "Let at least two owners take part.",
        )
    return 2 * n // 3 + 1


def unmask(
    masked: Mapping[str, bytes],
    adverts: Mapping[str, bytes],
    revealed: Mapping[str, bytes],
    threshold: int,
    *,
    session: bytes,
    context: str,
    names: Collection[str],
    identities: Mapping[str, bytes],
) -> NDArray[np.uint32]:
    """The sum (d,) of the survivors' vectors modulo 2**32, exactly; nothing else can be had from what owners send.

    Law: sum of masked vectors = sum of vectors + own masks of the survivors + the masks that survivors share with
    dropouts; masks shared among survivors cancel. Both kinds that stay are put together from ``revealed`` shares.

    Args:
        masked: Masked vectors of stage 2, by name: their senders are the survivors.
        adverts: Adverts of stage 0, by name, as all owners got them.
        revealed: Revealed shares of stage 4, by name, of at least ``threshold`` survivors.
        threshold: As the owners were told.
        session: As the owners were told.
        context: As the owners were told.
        names: The owners that shared in stage 1, survivors and dropouts.
        identities: Public identities, by name.

    Raises:
        EncryptionError: too few came (says how many are needed); a message is unknown, damaged or forged, or shares do
            not fit what an owner advertised (names the owner).
    """
    checks.check_known(list(names), adverts, what="the owners of the sum")
    checks.check_known(list(masked), names, what="the senders of masked vectors")
    checks.check_known(list(revealed), masked, what="the senders of revealed shares")
    checks.check_enough(masked, threshold, did="sent a masked vector")
    checks.check_enough(revealed, threshold, did="revealed their shares")
    occasion = wire.Occasion(session, context)
    publics = wire.read_adverts(occasion, {name: adverts[name] for name in names}, identities)
    roster = wire.roster(occasion, threshold, adverts, names)
    total = _added(occasion, masked, identities, roster)
    secrets = _put_together(occasion, revealed, identities, roster, publics, set(masked), threshold)
    for name, secret in secrets.items():
        if name in masked:
            add_mask(total, self_mask_key(occasion, name, secret), subtract=True)
            continue
        private = X25519PrivateKey.from_private_bytes(secret)
        for other in masked:
            key = pair_mask_key(occasion, private, publics[other].mask_public, name, other)
            add_mask(total, key, subtract=other < name)
    return total


def _added(
    occasion: wire.Occasion, masked: Mapping[str, bytes], identities: Mapping[str, bytes], roster: bytes
) -> NDArray[np.uint32]:
    total = np.zeros(0, dtype=np.uint32)
    for name in sorted(masked):
        vector = wire.read_masked(occasion, name, identities[name], roster, masked[name])
        if not total.size:
            total = np.zeros(vector.size, dtype=np.uint32)
        if vector.size != total.size:
            raise EncryptionError(
                f"{name!r} masked {vector.size:,} numbers, and the owners before it {total.size:,}.",
                "Vectors of different lengths have no sum, and their masks do not cancel.",
                "Have all owners mask the same kind of vector.",
            )
        total += vector
    return total


def _put_together(
    occasion: wire.Occasion,
    revealed: Mapping[str, bytes],
    identities: Mapping[str, bytes],
    roster: bytes,
    publics: Mapping[str, wire.Advert],
    survivors: set[str],
    threshold: int,
) -> dict[str, bytes]:
    """One secret of every owner that shared: the seed of a survivor, the mask key of a dropout."""
    listed = wire.packed_names(survivors)
    shares: dict[str, list[bytes]] = {name: [] for name in publics}
    for sender in sorted(revealed):
        public, message = identities[sender], revealed[sender]
        parts = wire.read_revealed(occasion, sender, public, roster, listed, message, owners=len(publics))
        for name, part in zip(publics, parts, strict=True):
            shares[name].append(part)
    return {
        name: _checked(occasion, name, advert, shares[name], threshold, survived=name in survivors)
        for name, advert in publics.items()
    }


def _checked(
    occasion: wire.Occasion, name: str, advert: wire.Advert, shares: list[bytes], threshold: int, *, survived: bool
) -> bytes:
    try:
        secret = shamir.combine(shares, threshold)
        if survived:
            fits = wire.seed_digest(occasion, name, secret) == advert.seed_digest
        else:
            fits = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw() == advert.mask_public
    except EncryptionError as error:
        raise checks.unfit_secret(name, survived=survived) from error
    if not fits:
        raise checks.unfit_secret(name, survived=survived)
    return secret
