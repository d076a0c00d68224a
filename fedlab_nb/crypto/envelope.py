"""Envelopes: what crosses between parties, and the checks that come before anything inside is looked at.

An envelope is a header in canonical JSON, a message authentication code over it (HMAC-SHA256 with a key that only
sender and receiver have), and ciphertexts, for which their SHA-256 in the header stands. It proves who sent what for
which sum. It does not prove that the sender's numbers are true.

Source: Krawczyk, Bellare, Canetti, RFC 2104 (HMAC).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from fedlab_nb.crypto.identity import Identity
from fedlab_nb.crypto.manifest import Manifest
from fedlab_nb.crypto.products.plan import Shipment
from fedlab_nb.errors import EncryptionError

Agreed = Manifest | Shipment
"""What sender and receiver have agreed on about the inside of an envelope."""

MAGIC = b"fedlab\x00\x01"
_SIZES = struct.Struct("<II")
_MAC_BYTES = 32
_MOST_HEADER_BYTES = 1 << 20
_SHOWN_BYTES = 24
_DIGITS = 12


@dataclass(frozen=True)
class Header:
    """All that an envelope says about itself; ``manifest`` is the digest of the sum that it belongs to."""

    scheme: str
    fingerprint: str
    session: str
    round: int
    kind: str
    sender: str
    receiver: str
    sequence: int
    inside: tuple[str, ...]
    length: int
    manifest: str
    chunks: int
    chunk_bytes: int
    payload: str

    @property
    def data(self) -> bytes:
        """Canonical: equal headers give equal bytes; numbers have a fixed width, so that sizes tell nothing."""
        facts = {name: f"{v:0{_DIGITS}d}" if isinstance(v, int) else v for name, v in asdict(self).items()}
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


@dataclass(frozen=True, eq=False, repr=False)
class Sealed:
    """One envelope: ``header``, its ``mac``, and the ``chunks`` (ciphertexts, or masked numbers)."""

    header: Header
    mac: bytes
    chunks: tuple[bytes, ...]

    @property
    def length(self) -> int:
        """How many numbers are inside."""
        return self.header.length

    @property
    def senders(self) -> tuple[str, ...]:
        """Whose numbers are inside."""
        return self.header.inside

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The bytes that cross, in order."""
        head = self.header.data
        return (MAGIC + _SIZES.pack(len(head), _MAC_BYTES) + head + self.mac, *self.chunks)

    @property
    def nbytes(self) -> int:
        """Bytes that cross."""
        return sum(map(len, self.parts))

    @property
    def plain_nbytes(self) -> int:
        """Bytes of the same numbers in the clear, as 64-bit floats."""
        return 8 * self.length

    @property
    def note(self) -> str:
        """What it is, for those who cannot look inside."""
        return f"{self.length:,} numbers in {len(self.chunks):,} ciphertext{'s' * (len(self.chunks) != 1)}"

    @property
    def head(self) -> str:
        """The first 24 bytes inside, in hex: what a party without the key sees in place of the numbers."""
        return self.chunks[0][:_SHOWN_BYTES].hex()

    @classmethod
    def read(cls, data: bytes) -> Sealed:
        """The envelope in ``data``, of which nothing is believed yet.

        Raises:
            EncryptionError: it is not an envelope.
        """
        try:
            start = len(MAGIC) + _SIZES.size
            size, mac = _SIZES.unpack_from(data, len(MAGIC))
            if not data.startswith(MAGIC) or mac != _MAC_BYTES or size > _MOST_HEADER_BYTES:
                raise _not_an_envelope(data)
            header = read_header(data[start : start + size])
            body, width = data[start + size + mac :], header.chunk_bytes
            if header.data != data[start : start + size] or header.chunks * width != len(body) or not body:
                raise _not_an_envelope(data)
        except (ValueError, TypeError, RecursionError, struct.error) as error:
            raise _not_an_envelope(data) from error
        chunks = tuple(body[at : at + width] for at in range(0, len(body), width))
        return cls(header, data[start + size : start + size + mac], chunks)

    def __repr__(self) -> str:
        numbers = "1 number" if self.length == 1 else f"{self.length:,} numbers"
        ciphertexts = "1 ciphertext" if len(self.chunks) == 1 else f"{len(self.chunks):,} ciphertexts"
        return f"Sealed({numbers} in {ciphertexts}, {self.nbytes:,} bytes)"

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.card import sealed_card

        return sealed_card(self)


class Mailbox:
    """One party's side of all its envelopes in one session: numbered when sent, taken in once when received.

    Example:
        >>> mine, theirs = Mailbox("A", session="s"), Mailbox("server", session="s")
        >>> mine.meet({"server": theirs.public})
        >>> theirs.meet({"A": mine.public})
        >>> mine.secret_with("server", "tags") == theirs.secret_with("A", "tags")
        True
    """

    def __init__(self, name: str, *, session: str, identity: Identity | None = None) -> None:
        self.name, self.session = name, session
        self.identity = identity or Identity()
        self._others: dict[str, bytes] = {}
        self._sent: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    @property
    def public(self) -> bytes:
        """This party's public identity."""
        return self.identity.public

    def meet(self, identities: Mapping[str, bytes]) -> None:
        """Learn the public identities of the others."""
        self._others.update({name: public for name, public in identities.items() if name != self.name})

    def secret_with(self, name: str, purpose: str) -> bytes:
        """32 bytes that only this party and ``name`` know, for one purpose in this session.

        Raises:
            EncryptionError: nobody of that name is known.
        """
        if name not in self._others:
            raise EncryptionError(
                f"{self.name!r} does not know {name!r}.",
                "Without a public identity there is no secret in common, and nothing to check an envelope with.",
                "Exchange identities first, and send only to parties of this federation.",
            )
        return self.identity.secret_with(self._others[name], f"{self.session} {purpose}")

    def send(self, to: str, manifest: Agreed, chunks: Sequence[bytes], *, inside: tuple[str, ...]) -> Sealed:
        """Put ciphertexts for the sum of ``manifest`` into an envelope to ``to``."""
        self._sent[to] = self._sent.get(to, 0) + 1
        header = Header(
            scheme=manifest.plan.scheme.name,
            fingerprint=manifest.fingerprint,
            session=self.session,
            round=manifest.round,
            kind=manifest.kind,
            sender=self.name,
            receiver=to,
            sequence=self._sent[to],
            inside=inside,
            length=manifest.length,
            manifest=manifest.digest,
            chunks=len(chunks),
            chunk_bytes=manifest.chunk_bytes,
            payload=_payload(chunks),
        )
        return Sealed(header, self._mac(self.name, to, to, header), tuple(chunks))

    def take(self, sealed: Sealed, manifest: Agreed) -> tuple[bytes, ...]:
        """The ciphertexts of an envelope that is for this party, whole, new, and for the sum of ``manifest``.

        Raises:
            EncryptionError: naming the sender and what does not fit; nothing inside has been looked at.
        """
        header, who = sealed.header, sealed.header.sender
        if header.receiver != self.name or header.session != self.session:
            raise _refused(
                who,
                f"is for {header.receiver!r} in session {header.session[:8]}, and came to {self.name!r} in "
                f"{self.session[:8]}",
                "It was made for another party or other keys, and could be an old one sent again.",
            )
        if not hmac.compare_digest(self._mac(who, self.name, who, header), sealed.mac):
            raise _refused(who, "does not carry its sender's seal", "It was changed on the way, or is not from there.")
        if header.sequence <= self._seen.get(who, 0):
            raise _refused(who, "has been received before", "Counted twice, one owner's rows would weigh double.")
        expected = {
            "fingerprint": manifest.fingerprint,
            "round": manifest.round,
            "kind": manifest.kind,
            "length": manifest.length,
            "manifest": manifest.digest,
            "chunks": manifest.chunks,
            "chunk_bytes": manifest.chunk_bytes,
        }
        for fact, value in expected.items():
            if getattr(header, fact) != value:
                raise _refused(
                    who,
                    f"has {WORDS.get(fact, fact)} {_short(getattr(header, fact))} where {_short(value)} was agreed on",
                    "Vectors of another kind, size or key add up to garbage that looks like numbers.",
                )
        if len(sealed.chunks) != header.chunks or any(len(chunk) != header.chunk_bytes for chunk in sealed.chunks):
            raise _refused(who, "does not hold what it says", "A missing ciphertext would drop or shift numbers.")
        if not hmac.compare_digest(_payload(sealed.chunks), header.payload):
            raise _refused(
                who, "is damaged inside", "Most damaged ciphertexts decrypt to garbage without any sign of it."
            )
        self._seen[who] = header.sequence
        return sealed.chunks

    def _mac(self, sender: str, receiver: str, other: str, header: Header) -> bytes:
        key = self.secret_with(other, f"envelopes from {sender} to {receiver}")
        return hmac.new(key, header.data, hashlib.sha256).digest()

    def __repr__(self) -> str:
        return f"Mailbox({self.name!r}, session {self.session[:8]})"


WORDS = {
    "fingerprint": "the key",
    "length": "a length of",
    "manifest": "a manifest",
    "chunks": "a number of ciphertexts of",
    "chunk_bytes": "a ciphertext size of",
}


def read_header(data: bytes) -> Header:
    """The header in ``data``; ValueError if it is none. Nothing in it is believed yet."""
    facts = json.loads(data)
    if not isinstance(facts, dict) or set(facts) != {field.name for field in fields(Header)}:
        raise ValueError("other fields")
    whole = {"round", "sequence", "length", "chunks", "chunk_bytes"}
    if not all(isinstance(value, list if name == "inside" else str) for name, value in facts.items()):
        raise ValueError("other types")
    counts = {name: int(value) for name, value in facts.items() if name in whole}
    return Header(**{**facts, **counts, "inside": tuple(map(str, facts["inside"]))})


def _payload(chunks: Sequence[bytes]) -> str:
    whole = hashlib.sha256()
    for chunk in chunks:
        whole.update(chunk)
    return whole.hexdigest()


def _short(value: object) -> str:
    return repr(value[:16] if isinstance(value, str) else value)


def _refused(who: str, what: str, why: str) -> EncryptionError:
    return EncryptionError(
        f"The envelope of {who!r} {what}.",
        why,
        f"Nothing was released: have {who!r} seal again, and find out what happens on the way.",
    )


def _not_an_envelope(data: bytes) -> EncryptionError:
    return EncryptionError(
        f"{len(data):,} bytes were received that are not an envelope.",
        "Bytes of another form never reach the code that reads ciphertexts: some would end the whole process.",
        "Send again; if it happens again, find out what changes bytes on the way.",
    )
