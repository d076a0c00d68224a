"""Who could read one owner's update, and who holds which key: worked out from the settings of a scheme alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fedlab_nb.channel.opening import Encryption
from fedlab_nb.crypto import SecAgg
from fedlab_nb.units import counted
from fedlab_nb.view.keyring import Keys, Travels


class Reader(NamedTuple):
    """Who could read one owner's update, alone or only together, and by what."""

    who: str
    how: str
    alone: bool = False


def readers(scheme: Encryption | None, owners: int) -> tuple[Reader, ...]:
    """Who could read one owner's update in a sum of so many ``owners``, beside that owner itself.

    In every sum all the others and the server together know what is left of it; that is told where nothing less is
    enough. Law, for masks with threshold t of n owners: t of them can take masks off; a
    server that shows the others two lists of survivors needs 2t - n owners that sign both.

    Source: Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning", CCS 2017, section
    6.2.

    >>> [reader.who for reader in readers(None, 10)]
    ['the server']
    """
    if scheme is None:
        return (Reader("the server", "it is sent the numbers as they are", alone=True),)
    if isinstance(scheme, SecAgg):
        return _of_masks(scheme.needed(owners), owners)
    if scheme.keys == "authority":
        return (Reader("the key holder with the server", "one has the key, the other what is sealed"), LIAR_OF_FEW)
    if scheme.keys == "owners":
        return (Reader("any owner with the server", "one has the key, the other what is sealed"),)
    return (_all_others(owners), *([LIAR] if owners > 2 else []))


LIAR = Reader("a server that lies, with an owner that lies", "that owner vouches for another sum than the true one")
LIAR_OF_FEW = Reader(LIAR.who, f"{LIAR.how}; tags still guard all but short updates, of a few numbers")


def _of_masks(needed: int, owners: int) -> tuple[Reader, ...]:
    if needed >= owners:
        return (_all_others(owners),)
    # Those who sign two lists of survivors; the owner that is read signs one of them only.
    lying = 2 * needed - owners
    honest = Reader(f"the server with {counted(needed, 'owner')}", "their shares take masks off")
    liar = Reader(
        f"a server that lies, with {counted(lying, 'owner')}", "the others are shown two lists of who dropped out"
    )
    return (honest, liar) if lying < needed else (honest,)


def _all_others(owners: int) -> Reader:
    others = f"all {owners - 1} other owners" if owners > 2 else "the other owner"
    return Reader(f"the server with {others}", "what is left of the sum without theirs; no sum hides that")


def travels(scheme: Encryption | None) -> Travels:
    """How an owner's update goes to the server: readable, masked or sealed."""
    if scheme is None:
        return "readable"
    return "masked" if isinstance(scheme, SecAgg) else "sealed"


def keyring(scheme: Encryption | None, owners: Sequence[str]) -> tuple[Keys, ...]:
    """Each party of a scheme with what it holds once keys have been handed out, as the picture wants it."""
    kind = "none" if scheme is None else "masks" if isinstance(scheme, SecAgg) else scheme.keys
    held, last = _HELD[kind]
    return (
        *(Keys(name, "owner", held) for name in owners),
        Keys("server", "server", reads=scheme is None),
        *last,
    )


_HELD: dict[str, tuple[tuple[str, ...], tuple[Keys, ...]]] = {
    "none": ((), ()),
    "masks": (("mask secrets",), ()),
    "authority": (("public key",), (Keys("key holder", "key holder", ("secret key",)),)),
    "owners": (("public key", "secret key"), ()),
    "threshold": (("public key", "key share"), (Keys("nobody", "nobody", ("secret key",)),)),
}


def scheme_name(scheme: Encryption | None) -> str:
    """What a column is called: the scheme's own name, with who holds the key where that is not its usual holder."""
    if scheme is None:
        return "no protection"
    if isinstance(scheme, SecAgg):
        return scheme.name if scheme.threshold is None else f"{scheme.name}, threshold {scheme.threshold}"
    return f"{scheme.name}, key at the owners" if scheme.keys == "owners" else scheme.name
