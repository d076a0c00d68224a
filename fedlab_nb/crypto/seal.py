"""What owners and the server do with ciphertexts; neither can open one.

Every ciphertext is checked before TenSEAL reads a byte of it: TenSEAL adds ciphertexts of different keys without
complaint, decrypts most damaged ones to garbage, and ends the whole process on some malformed ones.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedlab_nb.crypto.ckks import RING, SLOTS, Plan
from fedlab_nb.crypto.keys import fingerprint, guarded, keyless_context
from fedlab_nb.errors import EncryptionError

_MOST_CHUNK_BYTES = 2 * RING * 8 + 1024
_MOST_PARAMETER_BYTES = 200
# Where the first coefficient stands in TenSEAL's bytes; what comes before is the same in every ciphertext.
_FIRST_COEFFICIENT = 131


@dataclass(frozen=True, eq=False, repr=False)
class Sealed:
    """Ciphertexts of one vector, or of a sum of vectors, with the public facts needed to add and to open them.

    ``chunks`` are the ciphertexts and ``digests`` their SHA-256 when they were made; ``length`` is how many numbers are
    inside; ``scale``, ``bound`` and ``grid_bits`` are those of the plan; ``fingerprint`` names the public key;
    ``added`` is how many owners are inside, ``senders`` who they are. The digests find damage on the way; they do not
    prove who sent what, and a server could write other ``senders`` and ``added``: here it is trusted not to.
    """

    chunks: tuple[bytes, ...]
    length: int
    scale: float
    bound: float
    grid_bits: int
    fingerprint: str
    added: int
    senders: tuple[str, ...]
    digests: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all ciphertexts, as they cross between parties."""
        return sum(len(chunk) for chunk in self.chunks)

    @property
    def head(self) -> str:
        """The first 24 bytes of encrypted data, in hex: what a party without the key sees in place of the numbers."""
        return self.chunks[0][_FIRST_COEFFICIENT : _FIRST_COEFFICIENT + 24].hex()

    def check(self, plan: Plan) -> None:
        """Refuse what is damaged or made under another plan, before TenSEAL reads it.

        Raises:
            EncryptionError: names the senders and what does not fit.
        """
        who = _names(self.senders)
        _check_facts(self, plan, who)
        if self.length < 1 or {len(self.chunks), len(self.digests)} != {plan.ciphertexts(self.length)}:
            raise EncryptionError(
                f"The vector of {who} has {len(self.chunks)} ciphertexts for {self.length} numbers.",
                "A missing or additional ciphertext would drop or shift numbers.",
                "Seal the whole vector again.",
            )
        for number, (chunk, digest) in enumerate(zip(self.chunks, self.digests, strict=True)):
            held = min(SLOTS, self.length - number * SLOTS)
            if not _well_formed(chunk, held, self.scale) or hashlib.sha256(chunk).hexdigest() != digest:
                raise EncryptionError(
                    f"Ciphertext {number + 1} of {len(self.chunks)} from {who} is damaged ({len(chunk):,} bytes).",
                    "Most damaged ciphertexts decrypt to garbage without any sign of it.",
                    "Send it again; if it happens again, find out what changes bytes on the way.",
                )

    def __repr__(self) -> str:
        numbers = "1 number" if self.length == 1 else f"{self.length:,} numbers"
        ciphertexts = "1 ciphertext" if len(self.chunks) == 1 else f"{len(self.chunks):,} ciphertexts"
        return f"Sealed({numbers} in {ciphertexts}, {self.nbytes:,} bytes)"

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.card import sealed_card

        return sealed_card(self)


class Sealer:
    """An owner's side: seals vectors under a public key, and cannot open anything, not even its own.

    Args:
        public_key: ``KeyHolder.public_key``.

    Raises:
        EncryptionError: the bytes are not a public key.
    """

    def __init__(self, public_key: bytes) -> None:
        if not keyless_context(public_key).has_public_key():
            raise EncryptionError(
                f"The {len(public_key):,} bytes given to Sealer hold parameters, but no public key.",
                "Without the public key nothing can be sealed.",
                "Give KeyHolder.public_key; KeyHolder.parameters is meant for the server, which only adds.",
            )
        self._public_key = public_key
        self.fingerprint = fingerprint(public_key)

    def seal(self, values: ArrayLike, plan: Plan, *, sender: str) -> Sealed:
        """Round ``values`` (d,) to the plan's grid and encrypt them, 2048 numbers a ciphertext.

        Equal values give different ciphertexts every time.

        Raises:
            EncryptionError: ``values`` is empty, not one row of numbers, not finite, or beyond the bound.
        """
        import tenseal

        vector = plan.grid(plan.check(values, sender=sender))
        context = keyless_context(self._public_key)
        who = f"the numbers of {sender!r}"

        def encrypt(part: NDArray[np.float64]) -> bytes:
            made = guarded("encrypt", who, tenseal.ckks_vector, context, part.tolist(), plan.scale)
            return bytes(guarded("write", who, made.serialize))

        chunks = tuple(encrypt(vector[start : start + SLOTS]) for start in range(0, vector.size, SLOTS))
        return _envelope(chunks, vector.size, plan, self.fingerprint, (sender,))

    def __repr__(self) -> str:
        return f"Sealer(public key {self.fingerprint})"


class Adder:
    """The server's side: adds ciphertexts with the bare parameters, and holds no key of any kind.

    Args:
        parameters: ``KeyHolder.parameters``, about 87 bytes.

    Raises:
        EncryptionError: the bytes are not bare parameters.
    """

    def __init__(self, parameters: bytes) -> None:
        if len(parameters) > _MOST_PARAMETER_BYTES or keyless_context(parameters).has_public_key():
            raise EncryptionError(
                f"The {len(parameters):,} bytes given to Adder are more than bare encryption parameters.",
                "The server needs no key to add, and what it does not hold it cannot lose or misuse.",
                "Give KeyHolder.parameters.",
            )
        self._parameters = parameters

    def add(self, sealed: Sequence[Sealed], plan: Plan) -> Sealed:
        """Add sealed vectors of different owners; the result is sealed too, and the order does not change its value.

        Raises:
            EncryptionError: something in ``sealed`` is damaged, foreign, of another plan or length, or doubled; or
                there are more owners than planned, or none.
        """
        import tenseal

        _check_together(sealed, plan)
        context = keyless_context(self._parameters)

        def total(chunk: int) -> bytes:
            result: Any = None
            for item in sealed:
                what = f"the ciphertext of {_names(item.senders)}"
                loaded = guarded("read", what, tenseal.ckks_vector_from, context, item.chunks[chunk])
                result = loaded if result is None else guarded("add", what, result.add_, loaded)
            return bytes(guarded("write", "the sum", result.serialize))

        chunks = tuple(total(chunk) for chunk in range(len(sealed[0].chunks)))
        senders = tuple(name for item in sealed for name in item.senders)
        return _envelope(chunks, sealed[0].length, plan, sealed[0].fingerprint, senders)

    def __repr__(self) -> str:
        return f"Adder({len(self._parameters)} bytes of parameters, no key)"


def _check_facts(sealed: Sealed, plan: Plan, who: str) -> None:
    if (sealed.scale, sealed.bound, sealed.grid_bits) != (plan.scale, plan.bound, plan.grid_bits):
        raise EncryptionError(
            f"The vector of {who} was sealed under another plan (bound {sealed.bound:g}, scale {sealed.scale:g}, grid "
            f"2**-{sealed.grid_bits}; expected {plan.bound:g}, {plan.scale:g}, 2**-{plan.grid_bits}).",
            "Numbers of different scales or grids add up to something meaningless.",
            "Seal, add and open with one and the same plan.",
        )
    if not 1 <= sealed.added <= plan.owners or not sealed.added == len(sealed.senders) == len(set(sealed.senders)):
        raise EncryptionError(
            f"A sealed vector claims {sealed.added} owners and names {len(sealed.senders)} ({who}), where the plan "
            f"allows each once and up to {plan.owners} in all.",
            "Beyond the planned range a sum wraps, and every number in it is then wrong without any sign.",
            "Add each owner once, and plan for as many as take part.",
        )


def _check_together(sealed: Sequence[Sealed], plan: Plan) -> None:
    if not sealed:
        raise EncryptionError(
            "There is nothing to add: no owner sent a sealed vector.",
            "An empty sum has neither a length nor a key.",
            "Skip the addition when no owner takes part in the round.",
        )
    first = sealed[0]
    for item in sealed:
        item.check(plan)
        if (item.fingerprint, item.length) != (first.fingerprint, first.length):
            raise EncryptionError(
                f"{_names(item.senders)} sent {item.length} numbers sealed for key {item.fingerprint}, but "
                f"{_names(first.senders)} sent {first.length} for key {first.fingerprint}.",
                "Vectors of different lengths or keys add up to garbage that looks like numbers.",
                "Have all owners seal the same kind of vector with the same key holder's public key.",
            )
    counts = Counter(name for item in sealed for name in item.senders)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise EncryptionError(
            f"{_names(twice)} would be added more than once.",
            "Counted twice, one owner's rows weigh double and the sum no longer means what it says.",
            "Add each owner's vector once.",
        )
    if len(counts) > plan.owners:
        raise EncryptionError(
            f"{len(counts)} owners are to be added, where the plan allows {plan.owners}.",
            "Beyond the planned range a sum wraps, and every number in it is then wrong without any sign.",
            "Plan for as many owners as take part.",
        )


def _well_formed(chunk: bytes, held: int, scale: float) -> bool:
    # The outer layer (protobuf: how many numbers, one ciphertext, the scale) is known to the last byte. It is compared
    # and not parsed, because TenSEAL believes an edited count and then reads memory that is not there.
    if not 0 < len(chunk) <= _MOST_CHUNK_BYTES:
        return False
    count, tail = _varint(held), b"\x19" + struct.pack("<d", scale)
    head = b"\x0a" + _varint(len(count)) + count + b"\x12"
    body = len(chunk) - len(head) - len(tail) - 3
    return body >= 1 << 14 and chunk.startswith(head + _varint(body)) and chunk.endswith(tail)


def _varint(number: int) -> bytes:
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _envelope(chunks: tuple[bytes, ...], length: int, plan: Plan, key: str, senders: tuple[str, ...]) -> Sealed:
    return Sealed(
        chunks=chunks,
        length=length,
        scale=plan.scale,
        bound=plan.bound,
        grid_bits=plan.grid_bits,
        fingerprint=key,
        added=len(senders),
        senders=senders,
        digests=tuple(hashlib.sha256(chunk).hexdigest() for chunk in chunks),
    )


def _names(senders: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in senders[:3])
    return shown if len(senders) <= 3 else f"{shown} and {len(senders) - 3} more"
