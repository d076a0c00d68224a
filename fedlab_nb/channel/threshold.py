"""A key that nobody holds: owners seal, the server adds, and the sum opens only if every owner of the round agrees.

Who learns what, if all follow the protocol:
    the server    who sent how much and when, and the sum, which it puts together from all owners' partial openings.
    another owner    nothing of it; it checks that the sum is that of what each owner sealed before it helps to open it.
The server with all owners but one sees that one's update, as in any sum. With one owner missing nothing opens: the sum
is dropped, and the owners who are there make a new key.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Server, Tensors
from fedlab_nb.channel.traffic import Once, joined
from fedlab_nb.crypto import CKKS, Manifest, Plan, Sealed, Sealer
from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.crypto.tags import untagged
from fedlab_nb.crypto.threshold import JointKey, JointOwner, OpeningRequest, PartialOpening, fuse, openings_limit
from fedlab_nb.crypto.threshold import parameters as bare_parameters
from fedlab_nb.ledger import Ledger
from fedlab_nb.places import Places, settle

Floats = NDArray[np.float64]

_PLURALS = {"key commitment": "key commitments", "key part": "key parts", "witness": "witnesses"}


class _Epoch(NamedTuple):
    """One joint key: its owners with what they seal with and their shares, and the key."""

    owners: tuple[str, ...]
    session: str
    sealers: Mapping[str, Sealer]
    shares: Mapping[str, JointOwner]
    key: JointKey


class ThresholdChannel:
    """Sums under joint keys: one for each set of owners, made anew when the set changes or it has opened enough."""

    def __init__(self, scheme: CKKS, owners: Sequence[str], ledger: Ledger, server: Server, places: Places) -> None:
        self._scheme, self._order, self._ledger, self._server = scheme, tuple(owners), ledger, server
        self._places, self._once = places, Once()
        self._epoch: _Epoch | None = None
        self._opened = 0  # ciphertexts, under the key in force

    @property
    def fingerprint(self) -> str:
        """The joint public key in force, in 16 hex characters; "" while there is none."""
        return self._epoch.key.fingerprint if self._epoch else ""

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
        """The sum (d,) of each owner's numbers on the plan's grid, bit for bit.

        Those ``absent`` helped to make the key and then send nothing: the sum cannot be opened and is dropped, and the
        others make a key of their own and seal again.
        """
        called = tuple(name for name in self._order if name in vectors or name in absent)
        present = tuple(name for name in called if name in vectors)
        length = len(next(iter(vectors.values())))
        self._once.check(number, kind, vectors)
        epoch = self._key_of(called, plan.ciphertexts(length), number)
        if present != called:
            self._seal(epoch, kind, vectors, self._manifest(epoch, kind, plan, number, length, tensors))
            epoch = self._key_of(present, plan.ciphertexts(length), number)
        manifest = self._manifest(epoch, kind, plan, number, length, tensors)
        made = self._seal(epoch, kind, vectors, manifest)
        sealed = settle(made)
        with self._ledger.stage("add"):
            sums = self._server.add([sealed[name] for name in present], manifest, to=present)
            for name, summed in zip(present, sums, strict=True):
                self._ledger.post(number, SERVER, name, f"sum of {kind}s", summed)
        with self._ledger.stage("open together"):
            return self._open(epoch, manifest, made, dict(zip(present, sums, strict=True)))

    def _key_of(self, owners: tuple[str, ...], chunks: int, number: int) -> _Epoch:
        """The joint key of these owners: the one in force if it is theirs and may open so much more."""
        fresh = not self._opened or self._opened + chunks <= openings_limit(len(owners))
        if self._epoch and self._epoch.owners == owners and fresh:
            return self._epoch
        with self._ledger.stage("keys"):
            self._epoch, self._opened = self._make_key(owners, number), 0
        return self._epoch

    def _make_key(self, owners: tuple[str, ...], number: int) -> _Epoch:
        """Everybody commits to a part of the public key; only then all parts are shown and added up."""
        session, put = secrets.token_hex(16), self._places.put
        sealers = {name: put(name, Sealer, name, session=session, own_tags=True) for name in owners}
        public = settle({name: sealer.mailbox.public for name, sealer in sealers.items()})
        self._server.begin(session)
        everybody = {**public, SERVER: self._server.public}
        self._server.meet(everybody)
        for name, sealer in sealers.items():
            self._ledger.post(number, name, SERVER, "identity", public[name])
            sealer.mailbox.meet(everybody)
        for name in owners:
            self._ledger.post(number, SERVER, name, "identities", joined(everybody))
        shares = {
            name: put(name, JointOwner, name, sealer.mailbox.identity, session=bytes.fromhex(session))
            for name, sealer in sealers.items()
        }
        commitments = settle({name: share.commitment for name, share in shares.items()})
        self._exchange("key commitment", commitments, number)
        parts = settle({name: share.reveal(commitments, public) for name, share in shares.items()})
        self._exchange("key part", parts, number)
        keys = {name: share.join(parts) for name, share in shares.items()}
        for name, sealer in sealers.items():
            sealer.take_key(keys[name].public_key)
        self._ledger.post(number, owners[0], SERVER, "parameters", bare_parameters())
        self._server.take_parameters(bare_parameters())
        return _Epoch(owners, session, sealers, shares, settle(keys[owners[0]]))

    def _exchange(self, kind: str, parts: Mapping[str, bytes], number: int) -> None:
        """Each owner sends its part to the server, which passes all of them on to everybody."""
        for name, part in parts.items():
            self._ledger.post(number, name, SERVER, kind, part)
        everything = joined(dict(parts))
        for name in parts:
            self._ledger.post(number, SERVER, name, _PLURALS[kind], everything)

    def _manifest(self, epoch: _Epoch, kind: str, plan: Plan, number: int, length: int, tensors: Tensors) -> Manifest:
        return Manifest(
            session=epoch.session,
            round=number,
            kind=kind,
            owners=epoch.owners,
            length=length,
            plan=plan,
            fingerprint=epoch.key.fingerprint,
            tensors=tuple(tensors),
        )

    def _seal(self, epoch: _Epoch, kind: str, vectors: Mapping[str, Floats], manifest: Manifest) -> dict[str, Sealed]:
        with self._ledger.stage("encrypt"):
            made = {name: epoch.sealers[name].seal(vector, manifest) for name, vector in vectors.items()}
            for name, item in settle(made).items():
                self._ledger.post(manifest.round, name, SERVER, kind, item)
        return made

    def _open(
        self, epoch: _Epoch, manifest: Manifest, made: Mapping[str, Sealed], sums: Mapping[str, Sealed]
    ) -> Floats:
        """Owners check the sum against what each of them sealed, then each gives its part of the opening."""
        number, total = manifest.round, sums[epoch.owners[0]].chunks
        chunks = {name: item.chunks for name, item in made.items()}
        request = OpeningRequest.of(number, manifest.kind, settle(chunks), total)
        taken = {name: epoch.sealers[name].mailbox.take(summed, manifest) for name, summed in sums.items()}
        for name in epoch.owners:
            self._ledger.post(number, SERVER, name, "opening request", json.dumps(asdict(request)).encode())
        witnesses = settle({name: epoch.shares[name].witness(request, chunks[name]) for name in epoch.owners})
        self._exchange("witness", witnesses, number)
        shares, sealers = epoch.shares, epoch.sealers
        both = [shares[name].open(request, taken[name], witnesses) for name in epoch.owners]
        seeds = settle({name: sealers[name].tag_seed(manifest) for name in epoch.owners})
        openings: dict[str, PartialOpening] = dict(zip(epoch.owners, settle(both), strict=True))
        self._opened += manifest.chunks
        for name, opening in openings.items():
            whole = b"".join((*opening.chunks, opening.signature, seeds[name]))
            self._ledger.post(number, name, SERVER, "partial opening", whole)
        slots = fuse(epoch.key, request, total, openings, scale=manifest.plan.scale)
        return untagged([self._numbers(row, chunk, manifest) for chunk, row in enumerate(slots)], seeds, manifest)

    def _numbers(self, slots: NDArray[np.complex128], chunk: int, manifest: Manifest) -> Floats:
        """The numbers in the slots of one ciphertext, not rounded yet."""
        flat = slots.view(np.float64) if self._scheme.complex_slots else np.ascontiguousarray(slots.real)
        return flat[: manifest.held(chunk) + manifest.plan.tags]
