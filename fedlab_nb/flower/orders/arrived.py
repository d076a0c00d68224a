"""What a party sent back, looked at before anything is made of it: its process may run other code than it says.

What can be seen from outside is refused here: another kind of thing, another length, no number, beyond what was agreed
on. That a number is a wrong one, within what was agreed on, nobody can see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.crypto import Sealed
from fedlab_nb.crypto.envelope import Header, read_header
from fedlab_nb.crypto.threshold import PartialOpening
from fedlab_nb.errors import RoundError
from fedlab_nb.flower.orders.line import Reply
from fedlab_nb.flower.orders.owner import Introduction, Readable
from fedlab_nb.parties.rules import check_numbers
from fedlab_nb.records import Schema

Floats = NDArray[np.float64]
# The stage of a party that did not answer at all.
SILENT = "waiting for an answer"


def check_reply(party: str, reply: Reply) -> Reply:
    """The reply, if its parts are what they are called.

    Raises:
        RoundError: naming the party.
    """
    facts = (reply.serial, int), (reply.process, str), (reply.values, tuple), (reply.error, Exception | None)
    vouched = reply.vouched.values() if isinstance(reply.vouched, Mapping) else [None]
    signed = all(isinstance(said, tuple) and [*map(type, said)] == [str, bytes] for said in vouched)
    if not signed or not all(isinstance(value, kind) for value, kind in facts):
        raise unreadable(party)
    return reply


def check_values(party: str, names: Sequence[str], values: Sequence[Any]) -> None:
    """Refuse values that are not what they were asked for as; ``names`` are those by which they were.

    Raises:
        RoundError: naming the party.
    """
    if len(names) != len(values):
        raise _refused(party, f"{len(values)} values in place of {len(names)}")
    for name, value in zip(names, values, strict=True):
        if name in _FITS and not _fits(name, value):
            raise _refused(party, f"a {type(value).__name__} for {name!r}, which it cannot be")


def silent(party: str) -> RoundError:
    """A party did not answer at all."""
    return RoundError(
        party,
        SILENT,
        f"{party!r} sent nothing back in time.",
        "What it was to do may be done or not; nothing of it is used.",
        "Look whether its SuperNode runs and reaches the SuperLink; a larger patience= waits longer.",
    )


def began_again(party: str) -> RoundError:
    """A party answers from another process than before."""
    return RoundError(
        party,
        SILENT,
        f"{party!r} has started again since its last answer.",
        "Its keys of this session are gone, and so is what it had kept for itself since the run began.",
        "Look in the log of its SuperNode why; if the run has ended, start another, which makes fresh keys.",
    )


def other_trip(party: str, answered: int, made: int) -> RoundError:
    """A party answers to another trip than the one that was made."""
    return RoundError(
        party,
        "answer",
        f"{party!r} answers to trip {answered}, and trip {made} was made.",
        "An answer to an earlier question, taken for this one, would spoil the sum unnoticed.",
        "Nothing of it is used; if the run has ended, start another.",
    )


def unreadable(party: str) -> RoundError:
    """What came from a party is no reply."""
    return _refused(party, "what is no reply")


class Packed(NamedTuple):
    """What an owner sent in fewer bytes, the numbers (d,) that it stands for, and its weight."""

    sent: Any
    restored: Floats
    weight: float


def check_sent(kind: str, size: int, bound: float, tensors: Tensors, party: str, sent: Readable) -> Floats:
    """The numbers (d + 1,) that an owner sends in the clear, its weight last, if they are what was agreed on.

    ``size`` is d.

    Raises:
        RoundError: naming the owner.
    """
    vector = sent.sent
    if not isinstance(vector, np.ndarray) or vector.dtype != np.float64 or vector.shape != (size + 1,):
        raise _refused(party, f"{_shape(vector)} as its {kind}, where {size + 1:,} numbers were agreed on")
    check_numbers(party, kind, vector, bound, tensors)
    _check_weight(party, float(vector[-1]), bound)
    return vector


def check_packed(size: int, bound: float, party: str, sent: Readable) -> Packed:
    """What an owner sends packed, if it stands for as many numbers as were agreed on, and its weight is one.

    Raises:
        RoundError: naming the owner.
    """
    try:
        restored = np.asarray(sent.sent.restore(), dtype=np.float64)
    except Exception as error:
        raise _refused(party, f"a {type(sent.sent).__name__} that cannot be unpacked") from error
    if restored.shape != (size,) or not np.isfinite(restored).all():
        raise _refused(party, f"{_shape(restored)} that are not {size:,} finite numbers")
    _check_weight(party, sent.weight, bound)
    return Packed(sent.sent, restored, sent.weight)


def _check_weight(party: str, weight: float, bound: float) -> None:
    if not (isinstance(weight, float) and 0.0 <= weight <= bound):
        raise _refused(party, f"the weight {weight:g}, and 0 to {bound:g} was agreed on")


def _shape(value: object) -> str:
    if not isinstance(value, np.ndarray):
        return f"a {type(value).__name__}"
    return f"{value.dtype} numbers of shape {value.shape}"


def _refused(party: str, what: str) -> RoundError:
    return RoundError(
        party,
        "answer",
        f"{party!r} sent {what}.",
        "It would have spoilt the sum, or stopped the run without a word of who it was.",
        "Nothing of it is used: ask who runs that site which code it runs.",
    )


def _fits(name: str, value: Any) -> bool:
    try:
        return _FITS[name](value)
    except Exception:  # noqa: BLE001 - a part of it is not what its class says
        return False


def _is_sealed(value: Any) -> bool:
    whole = isinstance(value, Sealed) and isinstance(value.header, Header) and isinstance(value.mac, bytes)
    return whole and _are_chunks(value.chunks) and read_header(value.header.data) == value.header


def _are_chunks(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(chunk, bytes) for chunk in value)


def _are_shares(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) and isinstance(v, bytes) for k, v in value.items())


def _is_answer(value: Any) -> bool:
    given, kept = value
    return isinstance(given, str | np.ndarray) and _are_kept(kept)


def _are_kept(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(key, str) and isinstance(at, int) for key, at in value)


def _is_introduction(value: Any) -> bool:
    known = isinstance(value, Introduction) and isinstance(value.name, str) and isinstance(value.schema, Schema)
    return known and isinstance(value.content, bytes) and 0.0 <= value.held_out < 1.0 and value.account is not None


def _is_readable(value: Any) -> bool:
    return isinstance(value, Readable) and isinstance(value.weight, float)


def _is_opened(value: Any) -> bool:
    if isinstance(value, PartialOpening):  # looked at where all of them are put together
        return True
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.float64
        and value.ndim == 1
        and bool(np.isfinite(value).all())
    )


def _is_bytes(value: Any) -> bool:
    return isinstance(value, bytes)


_BYTES = (
    *("public", "public_key", "parameters", "tag_seed", "vouch", "wrapped_for"),
    *("advertise", "confirm", "reveal", "masked_steps", "commitment", "witness"),
)
# What is asked for, by the last part of its name, and how it looks.
_FITS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_BYTES, _is_bytes),
    "seal": _is_sealed,
    "chunks": _are_chunks,
    "share": _are_shares,
    "open": _is_opened,
    "length": lambda value: isinstance(value, int),
    "introduce": _is_introduction,
    "show": _is_readable,
    "answer": _is_answer,
    "kept": _are_kept,
}
