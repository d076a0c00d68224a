"""One session of sealed sums, its parties introduced to each other, and what whoever is on the way could do to it."""

import dataclasses
import itertools
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import zstandard

from fedlab_nb.crypto import BFV, CKKS, Adder, KeyHolder, Mailbox, Manifest, Plan, Request, Sealed, Sealer
from fedlab_nb.crypto.ciphertexts.codec import codec_of
from fedlab_nb.crypto.ciphertexts.native import wire_of
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER

SCHEMES = {
    "default": CKKS(),
    "default, complex": CKKS(complex_slots=True),
    "compact": CKKS("compact"),
    "compact, complex": CKKS("compact", complex_slots=True),
    "deep": CKKS("deep"),
    "deep, complex": CKKS("deep", complex_slots=True),
    "BFV": BFV(),
}
# BFV packs two numbers into a slot unless the range leaves too few digits for that; the bound decides.
CASES = {name: (scheme, 1.0) for name, scheme in SCHEMES.items()} | {"BFV, unpacked": (BFV(), 4096.0)}
# Those that differ in how numbers lie in a ciphertext, or ciphertexts on the wire.
KINDS = {name: SCHEMES[name] for name in ("default", "default, complex", "compact, complex", "BFV")}
NAMES = tuple(f"owner {i}" for i in range(100))

Chunks = Sequence[bytes]


class Cast:
    """Key holder, owners and server of one session."""

    def __init__(self, scheme: CKKS | BFV, names: tuple[str, ...] = NAMES, server=None) -> None:
        self.scheme, self.session = scheme, secrets.token_hex(16)
        self.holder = KeyHolder(scheme, session=self.session)
        self.sealers = {name: Sealer(name, session=self.session) for name in names}
        self.server = server or Adder()
        self.server.begin(self.session)
        self.introduce(self.holder)
        for sealer in self.sealers.values():
            sealer.take_key(self.holder.public_key)
        self.server.take_parameters(self.holder.parameters)
        self._rounds = itertools.count(1)
        self._made: dict[str, list[Sealed]] = {}

    def introduce(self, holder: KeyHolder) -> None:
        """All public identities to all."""
        public = {name: sealer.mailbox.public for name, sealer in self.sealers.items()}
        everybody = {**public, KEY_HOLDER: holder.mailbox.public, SERVER: self.server.public}
        for party in (*(sealer.mailbox for sealer in self.sealers.values()), holder.mailbox, self.server):
            party.meet(everybody)

    def manifest(self, plan: Plan, length: int = 3, owners: int | tuple[str, ...] = 2, **facts) -> Manifest:
        """Of the first owners, in a round of its own."""
        names = tuple(self.sealers)[:owners] if isinstance(owners, int) else owners
        agreed = {"session": self.session, "kind": "update", "fingerprint": self.holder.fingerprint}
        agreed |= {"round": facts["round"] if "round" in facts else next(self._rounds)}
        return Manifest(**{**agreed, **facts}, owners=names, length=length, plan=plan)

    def seal(self, vectors, manifest: Manifest) -> list[Sealed]:
        made = [self.sealers[n].seal(v, manifest) for n, v in zip(manifest.owners, vectors, strict=True)]
        self._made[manifest.digest] = made
        return made

    def open(self, summed: Sealed, manifest: Manifest, holder: KeyHolder | None = None) -> np.ndarray:
        """The key holder's part, once the owners have vouched for what they sealed last for this sum."""
        made = self._made.get(manifest.digest, [])
        request = Request.of(made, summed)
        said = {item.header.sender: self.sealers[item.header.sender].vouch(request, manifest, item) for item in made}
        return (holder or self.holder).open(summed, manifest, request, said)

    def add(self, sealed: Sequence[Sealed], manifest: Manifest) -> Sealed:
        (summed,) = self.server.add(sealed, manifest, to=(KEY_HOLDER,))
        return summed

    def total(self, vectors, plan: Plan, **facts) -> np.ndarray:
        """The whole trip."""
        manifest = self.manifest(plan, len(vectors[0]), len(vectors), **facts)
        return self.open(self.add(self.seal(vectors, manifest), manifest), manifest)

    def raw(self, chunk: bytes, manifest: Manifest, number: int = 0) -> np.ndarray:
        """What a ciphertext decrypts to, neither checked nor rounded: only a test looks at it."""
        count = manifest.held(number) + manifest.plan.tags
        return codec_of(manifest.plan).decrypt(self.holder._KeyHolder__context, chunk, count, manifest.plan)

    def slipped(self, chunks: Chunks, manifest: Manifest) -> Sealed:
        """A sound envelope from the server around ciphertexts of its choice."""
        return self.server.mailbox.send(KEY_HOLDER, manifest, chunks, inside=manifest.owners)


class Round:
    """One round of three owners with two full ciphertexts each."""

    def __init__(self, cast: Cast) -> None:
        self.cast, self.scheme = cast, cast.scheme
        # Room for eight: beyond the range BFV's fields run into each other, and tags no longer tell who.
        self.plan = self.scheme.plan(bound=1.0, owners=8)
        self.length = 2 * self.plan.held
        self.vectors = draw(3, self.length)
        self.manifest = cast.manifest(self.plan, self.length, 3)
        self.sealed = cast.seal(self.vectors, self.manifest)
        self.chunks = [item.chunks for item in self.sealed]

    def slipped(self, *contributions):
        """The server's sound envelope around the sum of what it chose to add."""
        return self.cast.slipped(summed(self.scheme, contributions), self.manifest)

    def open(self, sealed):
        return self.cast.open(sealed, self.manifest)

    def honest(self):
        """A round after it, in which nobody cheats, still works."""
        total = self.cast.total(self.vectors, self.plan)
        return np.array_equal(total, self.plan.grid(self.vectors).sum(axis=0))


def vouched(sealed: Sealed, by: Mailbox, **facts) -> Sealed:
    """``sealed`` with other facts in its header, vouched for by the owner of a mailbox, as a liar would."""
    header = dataclasses.replace(sealed.header, **facts)
    return Sealed(header, by._mac(by.name, header.receiver, header.receiver, header), sealed.chunks)


def summed(scheme: CKKS | BFV, contributions: Iterable[Chunks]) -> tuple[bytes, ...]:
    """Ciphertexts added coefficient by coefficient, which needs neither TenSEAL nor a key."""
    return tuple(
        _packed(scheme, sum(map(wire_of(scheme).unpack, column))) for column in zip(*contributions, strict=True)
    )


def scaled(scheme: CKKS | BFV, chunks: Chunks, times: int) -> tuple[bytes, ...]:
    """Ciphertexts times a small whole number, coefficient by coefficient."""
    return summed(scheme, [chunks] * times)


def _packed(scheme: CKKS | BFV, words: np.ndarray) -> bytes:
    wire = wire_of(scheme)
    return wire.pack(words % np.array(wire.primes, dtype=np.uint64)[:, None])


def secret_bytes(holder: KeyHolder) -> tuple[bytes, bytes]:
    """Pieces of the secret key that only it can contain: as TenSEAL writes it, and as SEAL keeps it in memory."""
    context = holder._KeyHolder__context
    kept = {"save_public_key": False, "save_galois_keys": False, "save_relin_keys": False}
    written = context.serialize(save_secret_key=True, **kept)
    key = context.secret_key()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "key"
        key.data.save(str(file))
        saved = file.read_bytes()
    header = 16
    words = zstandard.ZstdDecompressor().decompressobj().decompress(saved[header:])
    return written[len(written) // 2 :][:64], words[len(words) // 2 :][:64]


def flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def draw(owners: int, length: int, *, bound: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-bound, bound, (owners, length))
