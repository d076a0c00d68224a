"""Owners who make one key together, of which each keeps a share and nobody the whole.

All derive the same random polynomial a from the session's name. Each draws a key pair with Microsoft SEAL, s its
secret, and publishes b = -(a*s + error). The sum of all b, with a, is an ordinary public key: TenSEAL seals with it and
adds ciphertexts under it as always. Its secret key is the sum of all s.

An owner that chose its b after seeing the others' could pick one that cancels them and read everything alone. So each
first publishes a commitment (a hash) to its b, and shows b only when it has everyone's commitment.

Source: Asharov, Jain, López-Alt, Tromer, Vaikuntanathan, Wichs, "Multiparty computation with low communication,
computation and interaction via threshold FHE", Eurocrypt 2012; Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux,
"Multiparty homomorphic encryption from ring-learning-with-errors", PETS 2021.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np

from fedlab_nb.crypto.ciphertexts.native import saved
from fedlab_nb.crypto.ciphertexts.words import seal_words
from fedlab_nb.crypto.identity import Identity, check_signature
from fedlab_nb.crypto.threshold.key import JointKey, check_names, message, split_signed
from fedlab_nb.crypto.threshold.opening import PartialOpening, blocks, check_aggregate, shares, signed_opening
from fedlab_nb.crypto.threshold.parameters import RING, public_context, rings, seal_context
from fedlab_nb.crypto.threshold.request import LinearHash, OpeningRequest, checked_witnesses, digest, misfit
from fedlab_nb.crypto.threshold.ring import Words, mulmod, reduced
from fedlab_nb.errors import EncryptionError

_HASH_BYTES = 32
_WORDS = 2 * RING
_SHORTEST_SESSION = 16
_FEWEST = 2


class JointOwner:
    """One owner's share of one joint key, and all that it does with it; make a new one for every key.

    The order: all publish ``commitment``; each gives ``reveal`` for all commitments; each makes the same JointKey with
    ``join`` from what all revealed. For each sum: ``witness`` vouches for the owner's own ciphertexts, and ``open``
    gives its share if the witnesses of all owners add up to the sum.

    Args:
        name: the owner's name.
        identity: its keys to sign with.
        session: at least 16 bytes that name this joint key, the same for all owners and never used before.

    Raises:
        EncryptionError: ``session`` is too short.
    """

    __slots__ = (
        "__commitments",
        "__identities",
        "__identity",
        "__key",
        "__lock",
        "__opened",
        "__public",
        "__secret",
        "name",
        "opened_ciphertexts",
        "session",
    )

    def __init__(self, name: str, identity: Identity, *, session: bytes) -> None:
        if len(session) < _SHORTEST_SESSION:
            raise EncryptionError(
                f"The session of a joint key is named by {len(session)} bytes.",
                f"Names of fewer than {_SHORTEST_SESSION} bytes can repeat, and old messages would then fit a new key.",
                "Give 16 or more bytes that all owners agree on and that were never used before.",
            )
        self.name, self.session, self.__identity = name, session, identity
        self.__secret, public = _key_pair(_common(session))
        self.__public = public.astype("<i8").tobytes()
        self.__commitments: dict[str, bytes] = {}
        self.__identities: dict[str, bytes] = {}
        self.__key: JointKey | None = None
        self.__opened: set[tuple[int, str]] = set()
        self.__lock = threading.Lock()
        self.opened_ciphertexts = 0

    @property
    def commitment(self) -> bytes:
        """96 bytes: the hash of this owner's public part, and its signature."""
        content = message("public part", self.session, self.name, self.__public)
        return content + self.__identity.sign(message("commitment", self.session, self.name, content))

    def reveal(self, commitments: Mapping[str, bytes], identities: Mapping[str, bytes]) -> bytes:
        """This owner's public part (64 KiB and a signature), shown only to those who have all committed.

        Args:
            commitments: ``commitment`` of every owner of the key, by name.
            identities: ``Identity.public`` of every owner, by name; compare their fingerprints by another way.

        Raises:
            EncryptionError: fewer than two owners; one is missing, appears twice or did not sign; or others than in an
                earlier call. Names the owner.
        """
        _check_parties(self.name, self.__identity.public, identities)
        check_names(commitments, identities, what="commitment")
        for name, commitment in commitments.items():
            content, signature = split_signed(commitment, _HASH_BYTES, who=name, what="commitment")
            signed = message("commitment", self.session, name, content)
            check_signature(identities[name], signed, signature, who=name)
        seen = (self.__commitments or commitments, self.__identities or identities)
        if commitments[self.name] != self.commitment or seen != (commitments, identities):
            raise EncryptionError(
                f"{self.name!r} was given other commitments than before, or another than its own.",
                "Who sees a public part before committing can choose its own so that it reads everything alone.",
                "Begin again, with a new session and new JointOwners.",
            )
        self.__commitments, self.__identities = dict(commitments), dict(identities)
        return self.__public + self.__identity.sign(self.__revealed(self.name, self.__public))

    def join(self, reveals: Mapping[str, bytes]) -> JointKey:
        """The joint key from what every owner revealed; all owners get the same one.

        Raises:
            EncryptionError: ``reveal`` comes first; or one is missing, did not sign, or reveals another public part
                than it committed to. Names the owner.
        """
        if not self.__identities:
            raise _too_early(self.name, "reveal")
        check_names(reveals, self.__identities, what="public part")
        total = np.zeros((len(rings()), RING), dtype=np.int64)
        for name in sorted(reveals):
            data, signature = split_signed(reveals[name], 8 * _WORDS, who=name, what="public part")
            check_signature(self.__identities[name], self.__revealed(name, data), signature, who=name)
            if message("public part", self.session, name, data) != self.__commitments[name][:_HASH_BYTES]:
                raise EncryptionError(
                    f"{name!r} reveals another public part than it committed to.",
                    "Chosen after seeing the others', it can cancel them, and its owner could read everything alone.",
                    "No key was made; begin again without this owner, or ask it why.",
                )
            total += _public_words(data, name)
        summed = np.stack([reduced(row, ring.prime) for row, ring in zip(total, rings(), strict=True)])
        public = public_context(summed, _common(self.session))
        self.__key = JointKey(public, self.session, dict(sorted(self.__identities.items())))
        return self.__key

    def witness(self, request: OpeningRequest, chunks: Sequence[bytes]) -> bytes:
        """80 bytes with which this owner vouches for its own ciphertexts ``chunks`` in the sum of ``request``.

        Raises:
            EncryptionError: the request does not name exactly the owners of the key, or says that this owner sealed
                something else, or its sum was opened before.
        """
        challenge = request.challenge(self.__joined())
        self.__check_unopened(request)
        if request.sealed[self.name] != digest(chunks) or request.chunks != len(chunks):
            raise EncryptionError(
                f"{self.name!r} is said to have sealed other ciphertexts in round {request.number} than it did.",
                "Somebody changed or replaced them on the way, so the sum is not the one that the owners meant.",
                "Nothing was released; send the ciphertexts again, or drop the round.",
            )
        hashed = LinearHash(challenge, request.chunks)
        for start, words in blocks(chunks, who=repr(self.name)):
            hashed.add(start, words)
        content = hashed.written
        return content + self.__identity.sign(message("witness", challenge, self.name, content))

    def open(
        self, request: OpeningRequest, aggregate: Sequence[bytes], witnesses: Mapping[str, bytes]
    ) -> PartialOpening:
        """This owner's share of the sum, if it is the sum of what every owner vouches for; once per round and kind.

        Raises:
            EncryptionError: a witness is missing or not signed; the sum is another, or not that of what the owners
                sealed; or this owner opened a sum of this round and kind before. Nothing is released then.
        """
        key = self.__joined()
        challenge = request.challenge(key)
        with self.__lock:
            self.__check_unopened(request)
            vouched = checked_witnesses(key, challenge, witnesses)
            check_aggregate(request, aggregate)
            hashed, made = LinearHash(challenge, request.chunks), []
            for start, words in blocks(aggregate, who="the sum"):
                hashed.add(start, words)
                # Made while the words are at hand, and released below only if the whole sum is right.
                made += shares(words, self.__secret)
            wrong = misfit(hashed.value, vouched)
            if wrong:
                raise EncryptionError(
                    wrong,
                    "Opened, it would show something else than the sum of all owners, perhaps one owner's numbers.",
                    f"Nothing was released; drop round {request.number} and find out what the server added.",
                )
            self.__opened.add((request.number, request.kind))
            self.opened_ciphertexts += request.chunks
        signature = self.__identity.sign(signed_opening(challenge, self.name, made))
        return PartialOpening(self.name, tuple(made), signature)

    def __revealed(self, name: str, data: bytes) -> bytes:
        # Signed with the commitments that were seen: who was shown other ones is found out.
        seen = [part for other in sorted(self.__commitments) for part in (other, self.__commitments[other])]
        return message("reveal", self.session, name, hashlib.sha256(data).digest(), *seen)

    def __joined(self) -> JointKey:
        if self.__key is None:
            raise _too_early(self.name, "join")
        return self.__key

    def __check_unopened(self, request: OpeningRequest) -> None:
        if (request.number, request.kind) in self.__opened:
            raise EncryptionError(
                f"{self.name!r} has opened {request.kind!r} of round {request.number} before.",
                "Two openings show the difference of two sums, perhaps one owner's numbers, and thin the noise out.",
                "Use the opening it gave; for another sum begin a new round.",
            )

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise EncryptionError(
            "A JointOwner cannot be copied or pickled.",
            "Every copy of its share of the key is one more place from which it can be taken.",
            "Pass on its commitment, public part, witnesses and openings; they are bytes.",
        )

    def __repr__(self) -> str:
        key = "no joint key yet" if self.__key is None else f"share of joint key {self.__key.fingerprint}"
        return f"JointOwner({self.name!r}, {key})"


def _common(session: bytes) -> Words:
    """The polynomial a (2, N) that all owners of a session share: nobody chose it, so it hides no trap."""
    return np.stack([ring.uniform(message("common polynomial", session, i), RING) for i, ring in enumerate(rings())])


def _key_pair(common: Words) -> tuple[Words, Words]:
    """A fresh secret key (N,) modulo the first prime, and its public part (2, N) for the common polynomial."""
    from tenseal import sealapi

    generator, pair = sealapi.KeyGenerator(seal_context()), sealapi.PublicKey()
    generator.create_public_key(pair)
    # Named, because its data are freed together with it; read number by number, because SEAL writes to files only.
    held = generator.secret_key()
    polynomials = held.data()
    secret = np.fromiter((polynomials[i] for i in range(_WORDS)), dtype=np.int64, count=_WORDS).reshape(2, RING)
    b, a = seal_words(saved(pair), 2 * _WORDS).view(np.int64).reshape(2, 2, RING)
    # SEAL made b = -(a*s + error) with an a of its own; the error stays, and a is exchanged for the common one.
    turned = [mulmod(a[i] - common[i], secret[i], ring.prime) for i, ring in enumerate(rings())]
    public = [reduced(b[i] + turned[i], ring.prime) for i, ring in enumerate(rings())]
    return secret[0], np.stack(public)


def _public_words(data: bytes, name: str) -> Words:
    words = np.frombuffer(data, dtype="<i8").reshape(2, RING)
    primes = np.array([[ring.prime] for ring in rings()])
    if (words < 0).any() or (words >= primes).any():
        raise EncryptionError(
            f"The public part of {name!r} is not a polynomial of these parameters.",
            "Added to the others', it would make a key with which nothing can be opened.",
            "No key was made; begin again without this owner, or ask it why.",
        )
    return words.astype(np.int64)


def _check_parties(name: str, own: bytes, identities: Mapping[str, bytes]) -> None:
    if len(identities) < _FEWEST or len(set(identities.values())) < len(identities) or identities.get(name) != own:
        raise EncryptionError(
            f"The {len(identities)} parties of a joint key of {name!r} must be two or more, each with an identity of "
            f"its own, and {name!r} with the one it has.",
            "A sum of one owner's numbers is these numbers, and one party under two names would be counted twice.",
            "Give Identity.public of every owner by its name.",
        )


def _too_early(name: str, step: str) -> EncryptionError:
    return EncryptionError(
        f"{name!r} has not called {step} yet.",
        "A joint key exists only after all owners have committed and revealed.",
        "Call reveal with all commitments, then join with all that was revealed.",
    )
