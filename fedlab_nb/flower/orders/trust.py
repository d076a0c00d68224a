"""Whose key is this? Every key that goes through the server is signed by its party, which others know beforehand.

The server passes public keys on, and could put in its own. So each party has an identity that lasts, and the others
note its fingerprint by a way that the server has no hand in (``known``). Where nobody noted it, the one that was shown
first counts, and it is told that this is so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from fedlab_nb.crypto import Identity, KeyHolder, Mailbox, Sealer
from fedlab_nb.crypto.identity import check_signature
from fedlab_nb.crypto.masks import MaskingOwner
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.crypto.threshold import JointOwner
from fedlab_nb.errors import EncryptionError

# Who signed a key, and the signature, by the key's SHA-256.
Vouched = Mapping[str, tuple[str, bytes]]


def fingerprint_of(public: bytes) -> str:
    """What a party's lasting identity is known by: 64 hex characters, to be compared by telephone or on paper."""
    return hashlib.sha256(public).hexdigest()


class Trust:
    """What one party knows of the others.

    Args:
        name: this party.
        identity: its own lasting identity.
        occasion: which agreement it is; signatures hold for no other.
        parties: all who take part; nobody else is known.
        makers: who may make keys that open: the key holder, or the owner that makes the key for all.
        known: fingerprints of the others' identities, noted beforehand; those left out are taken as first shown.
    """

    def __init__(
        self,
        name: str,
        identity: Identity,
        *,
        occasion: str,
        parties: Sequence[str],
        makers: Sequence[str],
        known: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self._identity, self._occasion = name, identity, occasion
        self._parties, self._makers, self._known = frozenset(parties), tuple(makers), dict(known or {})
        self._publics: dict[str, bytes] = {}
        self._said_of: set[str] = set()
        self._vouched: dict[str, tuple[str, bytes]] = {}

    @property
    def public(self) -> bytes:
        """This party's lasting identity, which everyone may know."""
        return self._identity.public

    def know(self, publics: Mapping[str, bytes]) -> None:
        """The lasting identities of all parties, as the server passes them on.

        Raises:
            EncryptionError: one is not the one that was noted, or that was shown before.
        """
        for name, public in publics.items():
            if name not in self._parties:
                raise EncryptionError(
                    f"{self.name!r} was shown an identity of {name!r}, who takes no part in this run.",
                    "Whoever is known could sign keys, and have others seal for it.",
                    "Nothing was sealed: ask who runs the server whom it lets in.",
                )
            noted, shown = self._known.get(name), fingerprint_of(public)
            if name != self.name and (shown != (noted or shown) or self._publics.get(name, public) != public):
                raise EncryptionError(
                    f"{self.name!r} knows {name!r} by the identity {(noted or '')[:16] or 'shown before'}, and was "
                    f"shown {shown[:16]}.",
                    "Whoever put another in its place could read all that is sealed, or sign in its name.",
                    "Nothing was sealed: ask that party for its fingerprint by another way, and note it.",
                )
            self._publics[name] = public

    def take_words(self) -> list[str]:
        """What the site's own log is to say of those whose fingerprint nobody noted beforehand; of each once."""
        new = [name for name in self._publics if name not in {*self._known, *self._said_of, self.name}]
        self._said_of.update(new)
        return [
            f"{self.name!r} had not noted the fingerprint of {name!r} and took the one that the server showed, "
            f"{fingerprint_of(self._publics[name])}. Compare it by telephone, and note it under [known] in site.toml."
            for name in new
        ]

    def signed(self, value: Any) -> dict[str, tuple[str, bytes]]:
        """This party's signature of a key that leaves it, as others are told of it."""
        if not isinstance(value, bytes):
            return {}
        digest = hashlib.sha256(value).hexdigest()
        return {digest: (self.name, self._identity.sign(self._said(self.name, digest)))}

    def learn(self, vouched: Vouched) -> None:
        """Signatures of keys, as the server passes them on."""
        self._vouched.update(vouched)

    def check_call(self, target: Any, args: Sequence[Any], named: Mapping[str, Any], *, own_key: bool = False) -> None:
        """Refuse a call that brings a key which is not signed by its party, but for this party's ``own_key``.

        Raises:
            EncryptionError: naming the party.
        """
        whose, does = getattr(target, "__self__", None), getattr(target, "__name__", "")
        if isinstance(whose, Mailbox) and does == "meet":
            self.check_identities({name: key for name, key in args[0].items() if name != SERVER})
        elif (isinstance(whose, MaskingOwner) and does == "share") or (
            isinstance(whose, JointOwner) and does == "reveal"
        ):
            self.check_identities(args[1])
        elif isinstance(whose, Sealer) and does == "take_key" and not own_key:
            self._check("the key holder", args[0], self._makers)
        elif isinstance(whose, KeyHolder) and does == "wrapped_for":
            self._check(args[0], args[1], (args[0],))
        elif target == KeyHolder.unwrapped:
            self._check("the owner that made the key", named["maker"], self._makers)

    def check_identities(self, identities: Mapping[str, bytes]) -> None:
        """Refuse identities that are not signed by their parties, whoever passes them on.

        Raises:
            EncryptionError: naming the party.
        """
        for name, public in identities.items():
            if name != self.name:
                self._check(name, public, self._makers if name == KEY_HOLDER else (name,))

    def _check(self, name: str, key: bytes, signers: Sequence[str]) -> None:
        digest = hashlib.sha256(key).hexdigest()
        signer, signature = self._vouched.get(digest, ("", b""))
        if signer not in signers or signer not in self._publics:
            raise EncryptionError(
                f"{self.name!r} was given a key of {name!r} that it did not sign.",
                "Whoever made it could read all that is sealed with it, or sign in that party's name.",
                "Nothing was sealed: ask who runs the server what it passes on.",
            )
        check_signature(self._publics[signer], self._said(signer, digest), signature, who=signer)

    def _said(self, name: str, digest: str) -> bytes:
        return f"fedlab key\n{self._occasion}\n{name}\n{digest}".encode()
