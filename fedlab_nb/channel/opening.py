"""From the settings to the channel that keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto import BFV, CKKS, Adder, Manifest, Plan, Sealed, SecAgg
from fedlab_nb.crypto.apart import ServerProcess
from fedlab_nb.ledger import Ledger
from fedlab_nb.places import Here, Places

Floats = NDArray[np.float64]
Tensors = Sequence[tuple[str, int]]
Encryption = CKKS | BFV | SecAgg
Place = Literal["kernel", "process"]


class Channel(Protocol):
    """A way for a sum to reach the server. ``fingerprint`` names the public key in force, "" where there is none."""

    @property
    def fingerprint(self) -> str:
        """The public key in force, in 16 hex characters."""

    def sum(
        self,
        kind: str,
        vectors: Mapping[str, Floats],
        plan: Plan,
        number: int,
        *,
        absent: Sequence[str] = (),
        tensors: Tensors = (),
    ) -> Floats:
        """The sum (d,) of the owners' ``vectors`` on the plan's grid, as the server comes to know it.

        ``absent`` were called for this round and send nothing; ``tensors`` are the parts of a vector, for errors.

        Raises:
            EncryptionError, RoundError: nothing was released.
        """


class Server(Protocol):
    """The adding server, in this process or in one of its own."""

    @property
    def public(self) -> bytes:
        """Its public identity."""

    def begin(self, session: str) -> None:
        """Begin a session: a new identity, nothing known of the others."""

    def meet(self, identities: Mapping[str, bytes]) -> None:
        """Learn the public identities of the others."""

    def take_parameters(self, parameters: bytes) -> None:
        """Keep the bare parameters."""

    def add(self, sealed: Sequence[Sealed], manifest: Manifest, *, to: tuple[str, ...]) -> tuple[Sealed, ...]:
        """The sum of one envelope from each owner, in one envelope to each party in ``to``."""


def for_range(
    encrypt: Encryption, bound: float, owners: int, step: float | None, called: int | None = None
) -> Encryption:
    """The scheme for a sum of wide numbers: ``encrypt`` itself where its grid is as fine as ``step``.

    Counts of rows reach further than "compact" and "threshold" have digits for. They then go under the preset "default"
    with a key of the same holder, or, where nobody is to hold a key, under masks that only all owners who were
    ``called`` (left out: all there are) can take off.
    """
    if step is None or not isinstance(encrypt, CKKS):
        return encrypt
    if math.ldexp(1.0, -encrypt.layout(bound, owners).grid_bits) <= step:
        return encrypt
    if encrypt.keys != "threshold":
        return replace(encrypt, preset="default")
    return SecAgg(threshold=max(owners if called is None else called, 2))


def open_channel(
    encrypt: Encryption | None,
    owners: Sequence[str],
    ledger: Ledger,
    number: int,
    place: Place = "kernel",
    places: Places | None = None,
) -> Channel:
    """A channel with fresh keys for these owners, from round ``number`` on; ciphertexts are added at ``place``.

    ``places`` keep what belongs to the parties; left out, all of it is here.
    """
    places = places or Here()
    if encrypt is None:
        from fedlab_nb.channel import plain

        return plain.PlainChannel(ledger)
    from fedlab_nb.channel import masked, sealed, threshold

    if isinstance(encrypt, SecAgg):
        return masked.MaskedChannel(encrypt, owners, ledger, number, places)
    server: Server = ServerProcess() if place == "process" else Adder()
    if isinstance(encrypt, CKKS) and encrypt.keys == "threshold":
        return threshold.ThresholdChannel(encrypt, owners, ledger, server, places)
    return sealed.SealedChannel(encrypt, owners, ledger, server, number, places)
