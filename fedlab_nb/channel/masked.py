"""Masks: each owner adds numbers to its own that cancel in the sum of all; nobody holds a key.

Who learns what, if all follow the protocol:
    the server    who took part and who dropped out, and the sum over those who stayed.
    another owner    nothing; it keeps shares of others' secrets, of which fewer than the threshold tell nothing.
An owner may be lost at any step: before it has sent its masked numbers it is not in the sum, after that it is, whether
it answers again or not, and the others take its masks off.
The server together with as many owners as the threshold could open single updates; a server that shows two groups of
owners different lists of survivors is found out by their signatures.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.channel.traffic import Once, Opaque, joined
from fedlab_nb.crypto import Identity, Plan, SecAgg
from fedlab_nb.crypto.masks import MaskingOwner, masked_steps, numbers_in, unmask
from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.errors import EncryptionError
from fedlab_nb.ledger import Ledger
from fedlab_nb.places import Places, settle

Floats = NDArray[np.float64]


class MaskedChannel:
    """One session of masked sums: identities stay, all secrets are fresh for every sum."""

    fingerprint = ""

    def __init__(self, scheme: SecAgg, owners: Sequence[str], ledger: Ledger, number: int, places: Places) -> None:
        self._scheme, self._ledger, self._places = scheme, ledger, places
        self._session, self._once = secrets.token_bytes(16), Once()
        self._identities = {name: places.put(name, Identity) for name in owners}
        self._public = settle({name: identity.public for name, identity in self._identities.items()})
        with ledger.stage("keys"):
            for name in owners:
                ledger.post(number, name, SERVER, "identity", self._public[name])
            for name in owners:
                ledger.post(number, SERVER, name, "identities", joined(self._public))

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
        """The sum (d,) on the plan's grid, exactly; those ``absent`` drop out after their secrets have been shared."""
        _check_several(kind, vectors, number, self._once)
        called = [name for name in self._identities if name in vectors or name in absent]
        public = {name: self._public[name] for name in called}
        session, context = self._session, f"{kind} of round {number}"
        owners = {
            name: self._places.put(name, MaskingOwner, name, self._identities[name], session=session, context=context)
            for name in called
        }
        needed = self._scheme.needed(len(called))
        adverts, received = self._share_secrets(owners, public, needed, number)
        names = [*received]

        masked = self._mask(owners, kind, vectors, plan, received, tensors, needed, number)
        with self._ledger.stage("unmask"):
            revealed = self._help_unmask({name: owners[name] for name in masked}, needed, number)
            total = unmask(
                masked, adverts, revealed, needed, session=session, context=context, names=names, identities=public
            )
        summed = np.ldexp(total.astype(np.int32).astype(np.float64), -plan.grid_bits) + 0.0
        if np.abs(summed).max(initial=0.0) > len(masked) * plan.largest:
            raise EncryptionError(
                f"The sum of {kind!r} in round {number} is beyond what {len(masked)} owners can have sent.",
                "An owner sent numbers beyond the agreed bound, and the sum may have wrapped.",
                "Nothing of it is used: look for an owner whose numbers are not clipped.",
            )
        return summed

    def _mask(
        self,
        owners: Mapping[str, MaskingOwner],
        kind: str,
        vectors: Mapping[str, Floats],
        plan: Plan,
        received: Mapping[str, Mapping[str, bytes]],
        tensors: Tensors,
        needed: int,
        number: int,
    ) -> dict[str, bytes]:
        """Each owner's numbers under all of its masks: to the server, random ones."""
        put, there = self._places.put, [name for name in vectors if name in received]
        with self._ledger.stage("mask"):
            made = {n: put(n, masked_steps, owners[n], vectors[n], plan, received[n], tensors) for n in there}
            masked = self._places.brought(made, needed)
            for name, sent in masked.items():
                size = numbers_in(sent)
                self._ledger.post(number, name, SERVER, kind, Opaque(sent, f"{size:,} numbers under masks", 8 * size))
        return masked

    def _share_secrets(
        self, owners: Mapping[str, MaskingOwner], public: Mapping[str, bytes], needed: int, number: int
    ) -> tuple[dict[str, bytes], dict[str, dict[str, bytes]]]:
        """Everybody's mask key to everybody, and shares of everybody's secrets to each owner, for it alone."""
        with self._ledger.stage("keys"):
            brought = self._places.brought
            adverts = brought({name: owner.advertise() for name, owner in owners.items()}, needed)
            for name, advert in adverts.items():
                self._ledger.post(number, name, SERVER, "mask key", advert)
            for name in adverts:
                self._ledger.post(number, SERVER, name, "mask keys", joined(adverts))
            shares = brought({name: owners[name].share(adverts, public, needed) for name in adverts}, needed)
            received = {name: {by: given[name] for by, given in shares.items() if by != name} for name in shares}
            for name in shares:
                note = "shares of its secrets, encrypted for each other owner"
                self._ledger.post(number, name, SERVER, "key shares", Opaque(joined(shares[name]), note))
            for name in shares:
                note = f"shares of the others' secrets, encrypted for {name} alone"
                self._ledger.post(number, SERVER, name, "key shares", Opaque(joined(received[name]), note))
        return adverts, received

    def _help_unmask(self, survivors: Mapping[str, MaskingOwner], needed: int, number: int) -> dict[str, bytes]:
        """The survivors agree, signed, on who they are; then each reveals one share of one secret of each owner."""
        brought = self._places.brought
        listed = json.dumps(list(survivors)).encode()
        for name in survivors:
            self._ledger.post(number, SERVER, name, "survivors", listed)
        confirmed = brought({name: owner.confirm(list(survivors)) for name, owner in survivors.items()}, needed)
        for name, signature in confirmed.items():
            self._ledger.post(number, name, SERVER, "confirmation", signature)
        revealed = brought({name: survivors[name].reveal(confirmed) for name in confirmed}, needed)
        for name, shares in revealed.items():
            self._ledger.post(number, SERVER, name, "confirmations", joined(confirmed))
            self._ledger.post(number, name, SERVER, "revealed shares", shares)
        return revealed


def _check_several(kind: str, vectors: Mapping[str, Floats], number: int, once: Once) -> None:
    if len(vectors) < 2:
        raise EncryptionError(
            f"{kind!r} was to be summed over {len(vectors)} owner{'s' * (len(vectors) != 1)}.",
            "Without its masks, the sum of one owner is that owner's update.",
            "Sum over two owners or more.",
        )
    once.check(number, kind, vectors)
