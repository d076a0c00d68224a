"""What an owner or the server refuses in one secure sum, beside what was damaged or forged (that is in wire.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np

from fedlab_nb.crypto.masks.wire import shown
from fedlab_nb.errors import EncryptionError, SettingError


def check_threshold(threshold: int, owners: int) -> None:
    """Refuse a threshold that two groups of owners could reach at once, or none.

    Raises:
        SettingError: not more than half of the owners, under 2, or over their number.
    """
    if not (2 <= threshold <= owners < 2 * threshold):
        raise SettingError(
            f"The threshold is {threshold} of {owners} owners.",
            "With half of them or fewer, a server that lies could have one half take off one mask of an owner and the "
            "other half its other masks; one owner alone would open its own vector.",
            "Choose more than half of the owners, from 2 up to all of them; default_threshold(n) gives a safe number.",
        )


def check_enough(names: Collection[str], threshold: int, *, did: str) -> None:
    """Refuse to go on with fewer owners than the threshold.

    Raises:
        EncryptionError: says how many are needed, and how many ``did`` what they had to.
    """
    if len(names) < threshold:
        raise EncryptionError(
            f"{threshold} owners are needed, and {len(names)} {did}.",
            "With fewer, masks cannot be taken off, and a sum of few tells more about each.",
            "Nothing was released; start the sum again when enough owners are there, or agree on a lower threshold.",
        )


def check_known(names: Collection[str], known: Collection[str], *, what: str) -> None:
    """Refuse names that are given twice, or that are not among the ``known`` ones.

    Raises:
        EncryptionError: names them, and says in ``what`` they were found.
    """
    odd = set(names) - set(known) | {name for name, count in Counter(names).items() if count > 1}
    if odd:
        raise EncryptionError(
            f"{shown(odd)} cannot be in {what}, or not twice.",
            "Only an owner who went through the stages before can take part in a stage, and only once.",
            "Pass on what the owners of this sum sent, each under its own name.",
        )


def check_vector(vector: np.ndarray, *, who: str) -> None:
    """Refuse anything but a vector of whole numbers modulo 2**32.

    Raises:
        EncryptionError: names ``who`` was to mask it.
    """
    if not isinstance(vector, np.ndarray) or vector.dtype != np.uint32 or vector.ndim != 1 or vector.size == 0:
        raise EncryptionError(
            f"{who!r} was given something else than a vector (d,) of uint32 to mask.",
            "Masks hide whole numbers modulo 2**32 perfectly, and other numbers not.",
            "Round to whole numbers first, and give a numpy array of dtype uint32 with one axis and one entry or more.",
        )


def check_own(
    name: str, advert: bytes, public: bytes, adverts: Mapping[str, bytes], identities: Mapping[str, bytes]
) -> None:
    """Refuse what the server passes on if it has ``name`` otherwise than ``name`` knows itself.

    Raises:
        EncryptionError: the advert or the public identity of ``name`` is missing or changed.
    """
    if adverts.get(name) != advert or identities.get(name) != public:
        raise EncryptionError(
            f"{name!r} does not find its own advert and public identity among those that came.",
            "Others were shown a key that is not this owner's, and would share secrets with somebody else.",
            "Nothing was released; start the sum again with the adverts as the owners made them.",
        )


def out_of_turn(name: str, asked: str, expected: str | None = None) -> EncryptionError:
    """The error of a stage that comes too early, too late or twice."""
    return EncryptionError(
        f"{name!r} was asked to {asked}, and "
        + (f"has to {expected} next." if expected else "has done all that one sum asks for."),
        "A stage done twice, or out of order, could show the server both masks of an owner.",
        "Go through the stages once, in order, and make a new MaskingOwner for the next sum.",
    )


def foreign_shares(sender: str, receiver: str) -> EncryptionError:
    """The error of sealed shares that do not open, or open to something else than shares for this owner."""
    return EncryptionError(
        f"The shares that {sender!r} is said to have sealed for {receiver!r} do not open to shares for it.",
        "They were changed on the way, or made for another owner, another sum, threshold or set of adverts.",
        f"Nothing was released; start the sum again, without {sender!r} if it happens again.",
    )


def unfit_secret(name: str, *, survived: bool) -> EncryptionError:
    """The error of revealed shares that give another secret than the one ``name`` advertised."""
    which = "the seed of its own mask" if survived else "the key of its shared masks"
    return EncryptionError(
        f"The shares of {name!r} do not give {which}, as it was advertised.",
        f"{name!r} shared something else, or an owner revealed something else; the sum would be random numbers.",
        f"Nothing was released; start the sum again, without {name!r} if it happens again.",
    )
