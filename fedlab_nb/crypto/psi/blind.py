"""One owner's part of a private set intersection: ids become points of a group, and a secret number hides them.

Masking is raising to a secret power, a H(id) in additive writing. It commutes: whoever masks first, a point that all
owners have masked is the same for the same id, and tells nothing about the id to who lacks one of the secret numbers
(decisional Diffie-Hellman). Points lie in the subgroup of prime order of edwards25519, so that nothing of an id is left
in a small part of the group.

Source: Meadows, "A more efficient cryptographic matchmaking protocol", IEEE S&P 1986, section 3; Huberman, Franklin,
Hogg, "Enhancing privacy and trust in electronic communities", EC 1999, section 3; hash to the group: Faz-Hernandez et
al., RFC 9380, section 3 (two maps added, as in hash_to_curve).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from fedlab_nb.errors import EncryptionError

POINT_BYTES = 32
_HALF = 32
_PIECE = 200
_MOST_THREADS = 4

Progress = Callable[[int], None]
"""Called with how many points have been worked on since it was called last."""


class Blind:
    """A secret number of one owner, fresh for one intersection: with another one no two intersections can be linked.

    ``session`` goes into the hash, so that points of one session are no points of another.

    Example:
        >>> a, b = Blind("A", b"session"), Blind("B", b"session")
        >>> a.mask(b.begin([b"7"]), sender="B") == b.mask(a.begin([b"7"]), sender="A")
        True
    """

    __slots__ = ("__secret", "name", "session")

    def __init__(self, name: str, session: bytes) -> None:
        from nacl import bindings

        self.name, self.session = name, session
        self.__secret = bindings.crypto_core_ed25519_scalar_reduce(os.urandom(2 * _HALF))

    def begin(self, ids: Sequence[bytes], progress: Progress | None = None) -> list[bytes]:
        """This owner's ids as masked points of 32 bytes, in the same order."""
        from nacl import bindings

        def work(each: bytes) -> bytes:
            return bindings.crypto_scalarmult_ed25519_noclamp(self.__secret, _point(each, self.session))

        return _each(work, ids, progress)

    def mask(self, points: Sequence[bytes], *, sender: str, progress: Progress | None = None) -> list[bytes]:
        """Another owner's points, masked by this one as well, in the same order.

        Raises:
            EncryptionError: one of them is no point of the group of prime order; names the sender.
        """
        from nacl import bindings
        from nacl.exceptions import CryptoError

        def work(point: bytes) -> bytes:
            # It refuses points off the curve, of small order and outside the subgroup of prime order.
            return bindings.crypto_scalarmult_ed25519_noclamp(self.__secret, point)

        try:
            return _each(work, points, progress)
        except (CryptoError, ValueError) as error:
            raise _foreign(sender, "one that is no point of the group of prime order") from error

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise EncryptionError(
            f"The secret number of {self.name!r} cannot be copied or pickled.",
            "Whoever has it can try out ids on everything that was masked with it.",
            "Align the owners again: every alignment has secret numbers of its own.",
        )

    def __repr__(self) -> str:
        return f"Blind({self.name!r}, secret)"


def joined(points: Sequence[bytes]) -> bytes:
    """Points as they cross: one after the other."""
    return b"".join(points)


def points_in(data: bytes, *, sender: str) -> list[bytes]:
    """The points in what came from ``sender``, of which nothing is believed yet.

    Raises:
        EncryptionError: the bytes are not a number of points, or one of them is there twice.
    """
    points = [data[at : at + POINT_BYTES] for at in range(0, len(data), POINT_BYTES)]
    if len(data) % POINT_BYTES:
        raise _foreign(sender, f"{len(data):,} bytes, which is no whole number of points")
    if len(set(points)) < len(points):
        raise _foreign(sender, "the same one twice")
    return points


def _point(each: bytes, session: bytes) -> bytes:
    """H(id): a point that nobody can tell the logarithm of; two maps of half a digest each, added."""
    from nacl import bindings

    digest = hashlib.sha512(b"fedlab private set intersection" + session + each).digest()
    first, second = (bindings.crypto_core_ed25519_from_uniform(half) for half in (digest[:_HALF], digest[_HALF:]))
    return bindings.crypto_core_ed25519_add(first, second)


def _each(work: Callable[[bytes], bytes], items: Sequence[bytes], progress: Progress | None) -> list[bytes]:
    """``work`` on all items, in order; the library computes without holding up other threads, so several do it."""
    pieces = [items[at : at + _PIECE] for at in range(0, len(items), _PIECE)]

    def one(piece: Sequence[bytes]) -> list[bytes]:
        time.sleep(0)
        return [work(item) for item in piece]

    done: list[bytes] = []
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as threads:
        for part in threads.map(one, pieces):
            done += part
            if progress is not None:
                progress(len(part))
    return done


def _foreign(sender: str, what: str) -> EncryptionError:
    return EncryptionError(
        f"Among the masked ids that came from {sender!r} is {what}.",
        "Points outside the group could give away bits of the secret number that masks them, and of two equal ones "
        "nobody could say which row is meant.",
        f"Nothing was released: align again, and find out what {sender!r} sends.",
    )
