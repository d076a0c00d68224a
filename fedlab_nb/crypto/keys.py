"""Keys: the key holder with the secret one, and the contexts without it that everyone else works with.

Nothing outside this file touches a secret key. A context without it is only ever made by writing the public parts to
bytes and reading them back: TenSEAL's ways of turning a private context into a public one in place leave a decryptor
inside, and its copies keep the key.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.ckks import PRIME_BITS, RING, Plan
from fedlab_nb.errors import EncryptionError

if TYPE_CHECKING:
    from fedlab_nb.crypto.seal import Sealed

T = TypeVar("T")

# How far from the grid an honest sum can decrypt, in standard deviations of the noise of a full sum.
_FARTHEST = 16


class KeyHolder:
    """The only party that can open, and it opens sums only.

    ``public_key`` (bytes) goes to the owners; ``parameters`` (about 87 bytes, no key at all) to the server;
    ``fingerprint`` names the key. In one process this is a simulation of the walls: whoever runs code here could reach
    the secret key in memory. It is never printed, copied or written.

    Example:
        >>> from fedlab_nb.crypto import CKKS, Adder, Sealer
        >>> holder, plan = KeyHolder.create(), CKKS().plan(bound=10.0, owners=2)
        >>> owner, server = Sealer(holder.public_key), Adder(holder.parameters)
        >>> total = server.add([owner.seal([1.5], plan, sender="A"), owner.seal([2.0], plan, sender="B")], plan)
        >>> holder.open(total, plan, expected=2)
        array([3.5])
    """

    __slots__ = ("__context", "fingerprint", "parameters", "public_key")

    def __init__(self) -> None:
        import tenseal

        self.__context = guarded(
            "make keys with",
            "the fixed parameters",
            tenseal.context,
            tenseal.SCHEME_TYPE.CKKS,
            RING,
            coeff_mod_bit_sizes=list(PRIME_BITS),
            encryption_type=tenseal.ENCRYPTION_TYPE.ASYMMETRIC,
            n_threads=1,
        )
        self.public_key: bytes = _written(self.__context, public_key=True)
        self.parameters: bytes = _written(self.__context, public_key=False)
        self.fingerprint: str = fingerprint(self.public_key)

    @classmethod
    def create(cls) -> Self:
        """A key holder with a fresh key pair; takes a few milliseconds, so every run can have its own."""
        return cls()

    def open(self, sealed: Sealed, plan: Plan, *, expected: int) -> NDArray[np.float64]:
        """Decrypt a sum of exactly ``expected`` owners and round it to the plan's grid.

        Law: equals the sum of ``plan.grid(values)`` over the owners inside, bit for bit. The rounding is what keeps the
        secret key secret (see ckks.py). Whether a sum of one owner may be opened is the caller's rule: it then passes
        ``expected=1``.

        Returns:
            The sum (d,).

        Raises:
            EncryptionError: another number of owners, another key, damaged, another plan, or not a sum of grid numbers
                within the planned range. Nothing is released then.
        """
        self._check_request(sealed, plan, expected)
        numbers = np.concatenate([self._decrypt(chunk) for chunk in sealed.chunks])
        rounded = plan.grid(numbers)
        largest = sealed.added * float(plan.grid(plan.bound))
        near = np.abs(numbers - rounded) <= _FARTHEST * plan.sigma
        if numbers.size != sealed.length or not np.all(near & (np.abs(rounded) <= largest)):
            raise EncryptionError(
                f"What was opened is not a sum that {sealed.added} owners can have sent under this plan.",
                "The ciphertext was changed, made with another key, or holds numbers that are off the grid.",
                "Nothing was released: have every owner seal again with the current public key.",
            )
        return rounded

    def _check_request(self, sealed: Sealed, plan: Plan, expected: int) -> None:
        if sealed.fingerprint != self.fingerprint:
            raise EncryptionError(
                f"The sum was sealed for key {sealed.fingerprint}, and this key holder has {self.fingerprint}.",
                "Opened with another key, it would be garbage that looks like numbers.",
                "Give every owner this key holder's public_key and seal again.",
            )
        if sealed.added != expected:
            raise EncryptionError(
                f"A sum of {expected} owners was expected, and this one has {sealed.added}.",
                "A sum of fewer owners tells more about each of them; of one owner, everything.",
                "Open it only when all expected owners are inside, or expect the number that takes part.",
            )
        sealed.check(plan)

    def _decrypt(self, chunk: bytes) -> NDArray[np.float64]:
        import tenseal

        loaded = guarded("read", "the sum", tenseal.ckks_vector_from, self.__context, chunk)
        return np.asarray(guarded("decrypt", "the sum", loaded.decrypt), dtype=np.float64)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise EncryptionError(
            "A KeyHolder cannot be copied or pickled.",
            "Every copy of the secret key is one more place from which all contributions can be read.",
            "Pass public_key or parameters on instead, or make a new KeyHolder.",
        )

    def __repr__(self) -> str:
        return f"KeyHolder(key {self.fingerprint}, opens sums only)"

    def _repr_html_(self) -> str:
        from fedlab_nb.crypto.card import key_holder_card

        return key_holder_card(self)


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

    context = guarded("read", "the key or the parameters", tenseal.context_from, data, n_threads=1)
    if context.is_private():
        raise EncryptionError(
            "The bytes given as public hold a secret key.",
            "Whoever has them can open every single contribution.",
            "Make a new KeyHolder; give its public_key to owners and its parameters to the server.",
        )
    return context


def guarded(step: str, what: str, call: Callable[..., T], *args: object, **settings: object) -> T:
    """The result of one TenSEAL call, named by ``step`` and ``what``; then other threads, which it held up, get a turn.

    Raises:
        EncryptionError: TenSEAL failed.
    """
    try:
        result = call(*args, **settings)
    except (ValueError, RuntimeError, TypeError) as error:
        raise EncryptionError(
            f"TenSEAL could not {step} {what} ({error}).",
            "A damaged or foreign ciphertext or key must not reach the sum.",
            "Seal again with the key holder's current public key; if it happens again, restart the kernel.",
        ) from error
    time.sleep(0)
    return result


def _written(context: Any, *, public_key: bool) -> bytes:
    return bytes(
        context.serialize(
            save_public_key=public_key, save_secret_key=False, save_galois_keys=False, save_relin_keys=False
        )
    )
