"""An owner's side of one secure sum: five stages, in the order of the paper, each one method that is called once.

Source: Bonawitz et al., CCS 2017, Figure 4, rounds 0 to 4, with the parts that guard against a server that lies. Added
here: an advert has a digest of the seed of the owner's own mask, so that a wrong mask is never taken off unnoticed;
masked vectors and revealed shares are signed; names and adverts are part of what is signed and sealed.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import NoReturn

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from numpy.typing import NDArray

from fedlab_nb.crypto.identity import Identity
from fedlab_nb.crypto.masks import checks, shamir, wire
from fedlab_nb.crypto.masks.masking import add_mask, pair_mask_key, self_mask_key
from fedlab_nb.errors import EncryptionError

STAGES = ("advertise", "share", "mask", "confirm", "reveal")
_NONCE_BYTES = 12
_TAG_BYTES = 16
SEALED_BYTES = _NONCE_BYTES + 2 * shamir.SHARE_BYTES + _TAG_BYTES


class MaskingOwner:
    """One owner in one secure sum; for the next sum make another, as nothing secret may serve twice.

    ``session`` and ``context`` say which sum it is, and every message is bound to them. The server passes all messages
    on, and may read, drop or swap them; what it learns is the sum of at least ``threshold`` vectors, and who dropped
    out when. That holds while fewer than ``2 * threshold - n`` of the ``n`` owners help it: with more, it could show
    two groups of owners two lists of survivors, and have one open an owner's own mask and the other its shared masks.

    A stage that refuses has released nothing and counts as not done. Secrets are forgotten once they have served.

    Example:
        >>> MaskingOwner("A", Identity(), session=b"autumn course", context="round 1")
        MaskingOwner('A', 'round 1', next: advertise)
    """

    __slots__ = (
        "__adverts", "__ciphers", "__done", "__held", "__identities", "__identity", "__key", "__occasion", "__point",
        "__publics", "__roster", "__seed", "__survivors", "__threshold", "name",
    )  # fmt: skip

    def __init__(self, name: str, identity: Identity, *, session: bytes, context: str) -> None:
        self.name = name
        self.__identity = identity
        self.__occasion = wire.Occasion(session, context)
        self.__key = X25519PrivateKey.generate()
        self.__seed = secrets.token_bytes(shamir.SECRET_BYTES)
        self.__done = 0

    def advertise(self) -> bytes:
        """Stage 0, for everybody: the public key of this owner's shared masks, signed; ``wire.ADVERT_BYTES`` bytes.

        Who reads it learns nothing about any vector. It also has a digest of the seed of the owner's own mask.
        """
        self.__expect("advertise")
        advert = self.__advert()
        self.__done += 1
        return advert

    def share(self, adverts: Mapping[str, bytes], identities: Mapping[str, bytes], threshold: int) -> dict[str, bytes]:
        """Stage 1, one message for each other owner: its shares of this owner's two secrets, sealed for it alone.

        The two secrets are the key of the shared masks and the seed of the own mask; any ``threshold`` owners can put
        one together, and fewer learn nothing about it. The server sees ``SEALED_BYTES`` random bytes for each owner.

        Args:
            adverts: From stage 0, by name, this owner's own among them; owners who did not advertise take no part.
            identities: Public identities of all owners that were asked to take part, by name. They and ``threshold``
                have to be known otherwise than from the server alone: it could invent owners.
            threshold: More than half of ``identities``; ``default_threshold`` is safe from a server that lies.

        Raises:
            SettingError: a threshold that cannot be safe.
            EncryptionError: too few adverts, or one that is unknown, forged, damaged, copied or of another sum.
        """
        self.__expect("share")
        checks.check_threshold(threshold, len(identities))
        checks.check_own(self.name, self.__advert(), self.__identity.public, adverts, identities)
        checks.check_enough(adverts, threshold, did="advertised")
        publics = wire.read_adverts(self.__occasion, adverts, identities)
        pieces = zip(
            shamir.share(self.__key.private_bytes_raw(), threshold, len(publics)),
            shamir.share(self.__seed, threshold, len(publics)),
            strict=True,
        )
        held = dict(zip(publics, pieces, strict=True))
        self.__point = shamir.read_share(held[self.name][0])[0]
        self.__held = {self.name: held.pop(self.name)}
        self.__publics, self.__threshold = publics, threshold
        self.__adverts, self.__identities = dict(adverts), dict(identities)
        self.__ciphers = {name: self.__cipher(name) for name in held}
        self.__done += 1
        return {name: self.__sealed(name, of_key + of_seed) for name, (of_key, of_seed) in held.items()}

    def mask(self, vector: NDArray[np.uint32], received: Mapping[str, bytes]) -> bytes:
        """Stage 2, for the server: ``vector`` (d,) with all masks added modulo 2**32, as 4 d bytes, and a signature.

        To the server it is random numbers, whatever the vector is. Masks are shared with those owners whose shares
        were ``received``; they have to be the same for all. Then this owner forgets both secrets and keeps shares only.

        Raises:
            EncryptionError: not such a vector; shares of too few owners, of unknown ones, or that do not open.
        """
        self.__expect("mask")
        checks.check_vector(vector, who=self.name)
        others = self.__publics.keys() - {self.name}
        checks.check_known(list(received), others, what="the senders of the shares received")
        checks.check_enough([self.name, *received], self.__threshold, did="shared their secrets")
        held = {sender: self.__opened(sender, received[sender]) for sender in received}
        total = vector.astype("<u4")
        add_mask(total, self_mask_key(self.__occasion, self.name, self.__seed))
        for other in held:
            public = self.__publics[other].mask_public
            key = pair_mask_key(self.__occasion, self.__key, public, self.name, other)
            add_mask(total, key, subtract=other < self.name)
        self.__held.update(held)
        self.__roster = wire.roster(self.__occasion, self.__threshold, self.__adverts, self.__held)
        del self.__key, self.__seed
        self.__ciphers.clear()
        self.__done += 1
        return wire.written_masked(self.__occasion, self.name, self.__identity, self.__roster, total)

    @property
    def threshold(self) -> int:
        """How many owners must be left for the masks of its sum to come off, as it was told when it shared secrets."""
        return self.__threshold

    def confirm(self, survivors: Collection[str]) -> bytes:
        """Stage 3, for everybody: this owner's signature of the one list of ``survivors`` that it will help with.

        Survivors are the owners whose masked vector the server has. The signature is over the owners that shared, their
        adverts and the threshold too. It says nothing about a vector.

        Raises:
            EncryptionError: fewer than the threshold, unknown or doubled names, or this owner is not among them.
        """
        self.__expect("confirm")
        checks.check_known(list(survivors), self.__held, what="the list of survivors")
        listed = frozenset(survivors)
        checks.check_enough(listed, self.__threshold, did="sent a masked vector")
        if self.name not in listed:
            raise EncryptionError(
                f"{self.name!r} sent its masked vector, and is not in the list of survivors.",
                "With its shares taken as those of a dropout, the server could open the vector that it already has.",
                "Nothing was released; start the sum again with a server that counts who is there.",
            )
        self.__survivors = listed
        self.__done += 1
        return wire.written_confirmation(self.__occasion, self.__identity, self.__roster, wire.packed_names(listed))

    def reveal(self, confirmations: Mapping[str, bytes]) -> bytes:
        """Stage 4, for the server: one share of one secret of each owner that shared, in the order of names, signed.

        It is the share of the own mask's seed of each survivor, and of the key of the shared masks of each dropout;
        there is no room for both. From ``threshold`` such messages the server gets the sum of the survivors' vectors.

        Args:
            confirmations: From stage 3, by name: of at least the threshold of the survivors, as owners may still drop
                out. Two lists cannot both have so many, as each owner signs one.

        Raises:
            EncryptionError: too few, of others than survivors, or one that does not fit this owner's list.
        """
        self.__expect("reveal")
        checks.check_known(list(confirmations), self.__survivors, what="the confirmations")
        checks.check_enough(confirmations, self.__threshold, did="confirmed the list of survivors")
        listed = wire.packed_names(self.__survivors)
        for name, signature in confirmations.items():
            wire.check_confirmation(self.__occasion, name, self.__identities[name], self.__roster, listed, signature)
        shares = [
            of_seed if name in self.__survivors else of_key for name, (of_key, of_seed) in sorted(self.__held.items())
        ]
        self.__held.clear()
        self.__done += 1
        return wire.written_revealed(
            self.__occasion, self.name, self.__identity, self.__roster, listed, b"".join(shares)
        )

    def __advert(self) -> bytes:
        digest = wire.seed_digest(self.__occasion, self.name, self.__seed)
        advert = wire.Advert(self.__key.public_key().public_bytes_raw(), digest)
        return wire.written_advert(self.__occasion, self.name, self.__identity, advert)

    def __cipher(self, other: str) -> ChaCha20Poly1305:
        purpose = f"masks shares {self.__occasion.session.hex()} {self.__occasion.context}"
        return ChaCha20Poly1305(self.__identity.secret_with(self.__identities[other], purpose))

    def __sealed(self, receiver: str, shares: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self.__ciphers[receiver].encrypt(nonce, shares, self.__envelope(self.name, receiver))

    def __opened(self, sender: str, message: bytes) -> tuple[bytes, bytes]:
        wire.sized(message, SEALED_BYTES, who=sender, what="sealed shares")
        nonce, sealed = message[:_NONCE_BYTES], message[_NONCE_BYTES:]
        try:
            shares = self.__ciphers[sender].decrypt(nonce, sealed, self.__envelope(sender, self.name))
            of_key, of_seed = shares[: shamir.SHARE_BYTES], shares[shamir.SHARE_BYTES :]
            points = {shamir.read_share(of_key)[0], shamir.read_share(of_seed)[0]}
        except (InvalidTag, EncryptionError) as error:
            raise checks.foreign_shares(sender, self.name) from error
        if points != {self.__point}:
            raise checks.foreign_shares(sender, self.name)
        return of_key, of_seed

    def __envelope(self, sender: str, receiver: str) -> bytes:
        ends = [part for name in (sender, receiver) for part in (name.encode(), self.__adverts[name])]
        return self.__occasion.statement("shares", str(self.__threshold).encode(), *ends)

    def __expect(self, stage: str) -> None:
        if STAGES[self.__done : self.__done + 1] != (stage,):
            raise checks.out_of_turn(self.name, stage, *STAGES[self.__done : self.__done + 1])

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise EncryptionError(
            "A MaskingOwner cannot be copied or pickled.",
            "A copy would go through the stages a second time, and could show the server both masks of an owner.",
            "Pass on the messages that its stages give, and make a new one for each sum.",
        )

    def __repr__(self) -> str:
        ahead = f"next: {STAGES[self.__done]}" if self.__done < len(STAGES) else "done"
        return f"MaskingOwner({self.name!r}, {self.__occasion.context!r}, {ahead})"
