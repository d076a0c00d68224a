"""What owners and the server do: owners seal, the server adds. Neither can open anything.

Every envelope is checked before a ciphertext in it is read (envelope.py), and ciphertexts are coefficients only
(words.py): TenSEAL adds ciphertexts of different keys without complaint, decrypts most damaged ones to garbage, and
ends the whole process on some malformed ones.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from numpy.typing import ArrayLike

from fedlab_nb.crypto.ciphertexts.codec import codec_of
from fedlab_nb.crypto.ciphertexts.native import breathe, guarded, seal_context, wire_of
from fedlab_nb.crypto.envelope import Mailbox, Sealed
from fedlab_nb.crypto.manifest import Manifest, names
from fedlab_nb.crypto.schemes.plan import Plan
from fedlab_nb.crypto.tags import tag_seed, tagged
from fedlab_nb.crypto.vouching import Request, witness
from fedlab_nb.errors import EncryptionError

KEY_HOLDER, SERVER = "key holder", "server"
TAGS, WITNESS = "tags", "witness"
_MOST_PARAMETER_BYTES = 200


class Sealer:
    """An owner's side: seals vectors under a public key, and cannot open anything, not even its own.

    Args:
        name: the owner's name.
        session: the session's name.
        own_tags: its tags follow from a secret of its own, as nobody holds the key; else from one that the key holder
            has as well.
    """

    def __init__(self, name: str, *, session: str, own_tags: bool = False) -> None:
        self.name, self._tag_secret = name, secrets.token_bytes(32) if own_tags else b""
        self.mailbox = Mailbox(name, session=session)
        self._public_key = b""
        self.fingerprint = ""

    def take_key(self, public_key: bytes, *, expected: str = "") -> None:
        """Keep the public key, and note its ``fingerprint``: the ``expected`` one, where it was told by another way.

        Raises:
            EncryptionError: the bytes are not a public key, are another one, or bring a secret key along.
        """
        if not keyless_context(public_key).has_public_key():
            raise EncryptionError(
                f"The {len(public_key):,} bytes given to {self.name!r} hold parameters, but no public key.",
                "Without the public key nothing can be sealed.",
                "Give KeyHolder.public_key; KeyHolder.parameters is meant for the server, which only adds.",
            )
        got = fingerprint(public_key)
        if got != (expected or got):
            raise EncryptionError(
                f"{self.name!r} got the public key {got}, and the key holder made {expected}.",
                "Whoever exchanged it on the way could read all that is sealed with it.",
                "Nothing was sealed: hand the keys out again by a way that nobody can change.",
            )
        self._public_key, self.fingerprint = public_key, got

    def seal(self, values: ArrayLike, manifest: Manifest, *, to: str = SERVER) -> Sealed:
        """Round ``values`` (d,) to the plan's grid, tag and encrypt them for the sum of ``manifest``.

        Equal values give different ciphertexts every time.

        Raises:
            EncryptionError: ``values`` is empty, not one row of numbers, not finite, beyond the bound, or not of the
                length that was agreed on; or there is no key yet, or another one was agreed on.
        """
        plan = manifest.plan
        vector = plan.grid(plan.check(values, sender=self.name, tensors=manifest.tensors))
        if vector.size != manifest.length or self.fingerprint != manifest.fingerprint or not self._public_key:
            raise EncryptionError(
                f"{self.name!r} was to seal {vector.size} numbers for key {self.fingerprint or 'none'}, and "
                f"{manifest.length} for key {manifest.fingerprint or 'none'} were agreed on.",
                "Vectors of different lengths or keys add up to garbage that looks like numbers.",
                "Take the key holder's current public key, compare its fingerprint, and seal what was agreed on.",
            )
        seed = self.tag_seed(manifest)
        codec, context = codec_of(plan), keyless_context(self._public_key)
        check_fits(context, plan)
        chunks = []
        for part in tagged(vector, seed, manifest):
            chunks.append(codec.encrypt(context, part, plan))
            breathe()
        return self.mailbox.send(to, manifest, chunks, inside=(self.name,))

    @property
    def shows_tags(self) -> bool:
        """True if what its tags follow from is shown when a sum is opened, as nobody has the key."""
        return bool(self._tag_secret)

    def tag_seed(self, manifest: Manifest) -> bytes:
        """What this owner's tags in one sum follow from; where there is no key holder, shown when the sum is opened."""
        return tag_seed(self._tag_secret or self.mailbox.secret_with(KEY_HOLDER, TAGS), manifest)

    def vouch(self, request: Request, manifest: Manifest, mine: Sealed) -> bytes:
        """What this owner tells the key holder of ``mine``, which it sealed, before the sum of ``request`` is opened.

        Raises:
            EncryptionError: the request names something else than what this owner sealed.
        """
        return witness(request, manifest, mine, self.mailbox.secret_with(KEY_HOLDER, WITNESS))

    def __repr__(self) -> str:
        return f"Sealer({self.name!r}, public key {self.fingerprint or 'not there yet'})"


class Adder:
    """The server's side: adds ciphertexts with the bare parameters, and holds no key that opens or seals."""

    def __init__(self) -> None:
        self.mailbox = Mailbox(SERVER, session="")
        self._parameters = b""

    def begin(self, session: str) -> None:
        """Begin a session: a new identity, nothing known of the others."""
        self.mailbox, self._parameters = Mailbox(SERVER, session=session), b""

    @property
    def public(self) -> bytes:
        """The server's public identity."""
        return self.mailbox.public

    def meet(self, identities: Mapping[str, bytes]) -> None:
        """Learn the public identities of the others."""
        self.mailbox.meet(identities)

    def take_parameters(self, parameters: bytes) -> None:
        """Keep the bare parameters, about 87 bytes.

        Raises:
            EncryptionError: the bytes are more than that.
        """
        if len(parameters) > _MOST_PARAMETER_BYTES or keyless_context(parameters).has_public_key():
            raise EncryptionError(
                f"The {len(parameters):,} bytes given to the server are more than bare encryption parameters.",
                "The server needs no key to add, and what it does not hold it cannot lose or misuse.",
                "Give KeyHolder.parameters.",
            )
        self._parameters = parameters

    def add(self, sealed: Sequence[Sealed], manifest: Manifest, *, to: tuple[str, ...]) -> tuple[Sealed, ...]:
        """The sum of one envelope from each owner of ``manifest``, in one envelope to each party in ``to``.

        Raises:
            EncryptionError: an owner is missing or sent two envelopes, or one of them is refused; names the owner.
        """
        _check_complete(sealed, manifest)
        taken = {item.header.sender: self.mailbox.take(item, manifest) for item in sealed}
        codec, context, plan = codec_of(manifest.plan), keyless_context(self._parameters), manifest.plan
        check_fits(context, plan)
        wire = wire_of(plan.scheme)

        def total(chunk: int) -> bytes:
            result: Any = None
            for name, chunks in taken.items():
                try:
                    loaded = codec.read(context, chunks[chunk], manifest.held(chunk) + plan.tags, plan)
                    result = loaded if result is None else guarded("add", "a ciphertext", result.add_, loaded)
                except EncryptionError as error:
                    raise _of(name, chunk, error) from error
            breathe()
            return wire.from_tenseal(guarded("write", "the sum", result.serialize))

        chunks = [total(chunk) for chunk in range(manifest.chunks)]
        return tuple(self.mailbox.send(name, manifest, chunks, inside=manifest.owners) for name in to)

    def __repr__(self) -> str:
        return f"Adder({len(self._parameters)} bytes of parameters, no key)"


def fingerprint(public_key: bytes) -> str:
    """The first 16 hex characters of the SHA-256 of a public key: its short name."""
    return hashlib.sha256(public_key).hexdigest()[:16]


@lru_cache(maxsize=4)
def keyless_context(data: bytes) -> Any:
    """The TenSEAL context of ``data``, without a secret key; shared in a process, as each starts a thread of its own.

    Raises:
        EncryptionError: ``data`` is not a context, or brings a secret key along.
    """
    import tenseal

    if not data:
        raise EncryptionError(
            "There are no bytes to read a key or parameters from.",
            "Without them nothing can be sealed or added.",
            "Hand out KeyHolder.public_key to owners and KeyHolder.parameters to the server first.",
        )
    context = guarded("read", "the key or the parameters", tenseal.context_from, data, n_threads=1)
    if context.is_private():
        raise EncryptionError(
            "The bytes given as public hold a secret key.",
            "Whoever has them can open every single contribution.",
            "Make a new KeyHolder; give its public_key to owners and its parameters to the server.",
        )
    return context


def check_fits(context: Any, plan: Plan) -> None:
    """Refuse a context made for other parameters than those of the plan's scheme."""
    inner, agreed = context.seal_context(), seal_context(plan.scheme)
    if inner.data.key_parms_id() != agreed.key_parms_id():
        raise EncryptionError(
            f"The key or the parameters are not those of {plan.scheme.name}.",
            "Numbers sealed under other parameters could not be opened, or not be kept secret.",
            "Use a key holder made for the scheme that was agreed on.",
        )


def _check_complete(sealed: Sequence[Sealed], manifest: Manifest) -> None:
    senders = [item.header.sender for item in sealed]
    missing = tuple(name for name in manifest.owners if name not in senders)
    extra = tuple(name for name in dict.fromkeys(senders) if senders.count(name) > 1 or name not in manifest.owners)
    if missing or extra:
        what = f"{names(missing)} sent nothing" if missing else f"{names(extra)} would be added more often than agreed"
        raise EncryptionError(
            f"For the sum of {manifest.kind!r} in round {manifest.round}, {what}.",
            "It would no longer be the sum that all parties agreed on.",
            "Add one envelope from each owner of the round, or agree on a sum over those who are there.",
        )


def _of(name: str, chunk: int, error: EncryptionError) -> EncryptionError:
    return EncryptionError(f"Ciphertext {chunk + 1} of {name!r}: {error.what}", error.why, error.do)
