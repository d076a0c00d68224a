"""Ciphertexts: owners seal, the server adds what it cannot read, the key is used on the sum only.

Who learns what, if all follow the protocol:
    the server    who sent how much and when, and the sum that is handed to it.
    the key holder    the sum. With keys="owners" one owner of the round opens it, and any owner could.
    another owner    nothing; with keys="owners" everything that it can get hold of, as it has the key.
Together, key holder (or an owner with the key) and server could open every single update.
An owner that is lost leaves a sum that nobody opens. Until owners vouch, the others can seal anew, under fresh keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Server, Tensors
from fedlab_nb.channel.traffic import Once, Opaque, joined
from fedlab_nb.crypto import BFV, CKKS, KeyHolder, Manifest, Plan, Request, Sealed, Sealer
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER, fingerprint
from fedlab_nb.errors import RoundError
from fedlab_nb.ledger import Ledger
from fedlab_nb.places import Here, Places, settle

Floats = NDArray[np.float64]


class SealedChannel:
    """One session of sealed sums: identities and keys are handed out when it begins, through the ledger."""

    def __init__(
        self,
        scheme: CKKS | BFV,
        owners: Sequence[str],
        ledger: Ledger,
        server: Server,
        number: int,
        places: Places | None = None,
    ) -> None:
        places = places or Here()
        self._scheme, self._ledger, self._server, self._places = scheme, ledger, server, places
        self.session, self._once = secrets.token_hex(16), Once()
        self._sealers = {name: places.put(name, Sealer, name, session=self.session) for name in owners}
        with ledger.stage("keys"):
            self._shared = scheme.keys == "owners"
            # The owner that makes the key for all of them, or the key holder apart.
            self._maker = owners[0] if self._shared else KEY_HOLDER
            self._holder = places.put(self._maker, KeyHolder, scheme, session=self.session)
            self._server.begin(self.session)
            self._introduce(number)
            self._hand_out(number)

    def sum(
        self,
        kind: str,
        vectors: Mapping[str, Floats],
        plan: Plan,
        number: int,
        *,
        absent: Sequence[str] = (),  # noqa: ARG002 - a sum is agreed on over those who are there
        tensors: Tensors = (),
    ) -> Floats:
        """The sum (d,) of each owner's numbers on the plan's grid, bit for bit."""
        manifest = Manifest(
            session=self.session,
            round=number,
            kind=kind,
            owners=tuple(vectors),
            length=len(next(iter(vectors.values()))),
            plan=plan,
            fingerprint=self.fingerprint,
            tensors=tuple(tensors),
        )
        self._once.check(number, kind, vectors)
        with self._ledger.stage("encrypt"):
            made = {name: self._sealers[name].seal(vector, manifest) for name, vector in vectors.items()}
            sealed = [*settle(made).values()]
            for name, item in zip(vectors, sealed, strict=True):
                self._ledger.post(number, name, SERVER, kind, item)
        opener = manifest.owners[0] if self._shared else KEY_HOLDER
        with self._ledger.stage("add"):
            (summed,) = self._server.add(sealed, manifest, to=(KEY_HOLDER,))
            self._ledger.post(number, SERVER, opener, f"sum of {kind}s", summed)
        with self._ledger.stage("vouch"):
            request = Request.of(sealed, summed)
            witnesses = self._vouched(request, manifest, made, opener)
        with self._ledger.stage("decrypt"):
            opened = settle(self._holder_at(opener).open(summed, manifest, request, witnesses))
            _check_opened(opener, opened, manifest)
            self._ledger.post(number, opener, SERVER, f"sum of {kind}s, opened", opened)
        return opened

    def _vouched(
        self, request: Request, manifest: Manifest, made: Mapping[str, Sealed], opener: str
    ) -> dict[str, bytes]:
        """Each owner sees what is said to be in the sum, and tells whoever opens it what it knows of its own part."""
        number = manifest.round
        witnesses = settle({name: self._sealers[name].vouch(request, manifest, item) for name, item in made.items()})
        for name, witness in witnesses.items():
            self._ledger.post(number, SERVER, name, "opening request", request.text.encode())
            self._ledger.post(number, name, SERVER, "witness", witness)
        self._ledger.post(number, SERVER, opener, "opening request", request.text.encode())
        self._ledger.post(number, SERVER, opener, "witnesses", joined(witnesses))
        return witnesses

    def _introduce(self, number: int) -> None:
        """Everybody sends the server its public identity, and gets those of all."""
        public = {name: sealer.mailbox.public for name, sealer in self._sealers.items()}
        # With the keys that are handed out next: they come in one trip.
        keys = [self._holder.public_key, self._holder.parameters]
        *identities, self._public_key, self._parameters = settle([*public.values(), self._holder.mailbox.public, *keys])
        everybody = dict(zip((*public, KEY_HOLDER), identities, strict=True))
        senders = [*public] if self._shared else [*everybody]
        for name in senders:
            self._ledger.post(number, name, SERVER, "identity", everybody[name])
        everybody[SERVER] = self._server.public
        for name in senders:
            self._ledger.post(number, SERVER, name, "identities", joined(everybody))
        for mailbox in (*(sealer.mailbox for sealer in self._sealers.values()), self._holder.mailbox):
            mailbox.meet(everybody)
        self._server.meet(everybody)
        self._everybody = everybody

    def _hand_out(self, number: int) -> None:
        """Public key to owners, bare parameters to the server; the secret key to nobody, or wrapped to each owner."""
        holder, public_key, parameters = self._holder, self._public_key, self._parameters
        self.fingerprint = fingerprint(public_key)
        for name, sealer in self._sealers.items():
            if name != self._maker:
                self._ledger.post(number, self._maker, name, "public key", public_key)
            # The fingerprint is what owners compare by another way: whoever exchanged the key could read everything.
            sealer.take_key(public_key, expected=self.fingerprint)
        self._ledger.post(number, self._maker, SERVER, "parameters", parameters)
        self._server.take_parameters(parameters)
        self._wrapped: dict[str, bytes] = {}
        if self._shared:
            identity = self._sealers[self._maker].mailbox.identity
            others = [name for name in self._sealers if name != self._maker]
            self._wrapped = settle({name: holder.wrapped_for(name, self._everybody[name], identity) for name in others})
            for name, wrapped in self._wrapped.items():
                note = f"the owners' secret key, encrypted for {name} alone"
                self._ledger.post(number, self._maker, name, "secret key", Opaque(wrapped, note))

    def _holder_at(self, opener: str) -> KeyHolder:
        """Who opens: the key holder, or one owner with the copy of the key that was wrapped for it."""
        if opener not in self._wrapped:
            return self._holder
        holder = self._places.put(
            opener,
            KeyHolder.unwrapped,
            self._wrapped[opener],
            self._scheme,
            name=opener,
            maker=self._everybody[self._maker],
            mailbox=self._sealers[opener].mailbox,
            expected=self.fingerprint,
        )
        holder.mailbox.meet(self._everybody)
        return holder


def _check_opened(opener: str, opened: Floats, manifest: Manifest) -> None:
    """Refuse what whoever opens cannot have read from the sum; that it is another one within it nobody can see."""
    most, shape = len(manifest.owners) * manifest.plan.largest, np.shape(opened)
    if shape != (manifest.length,) or not np.abs(opened).max(initial=0.0) <= most:
        what = f"numbers of shape {shape}" if shape != (manifest.length,) else f"numbers beyond {most:g}"
        raise RoundError(
            opener,
            "decrypt",
            f"{opener!r} opened the sum of {manifest.kind!r} in round {manifest.round} to {what}, and it has "
            f"{manifest.length:,} numbers of {len(manifest.owners)} owners.",
            "It cannot be the sum that they sealed, and would have spoilt the model.",
            "Nothing of it is used: ask who has the key which code runs there.",
        )
