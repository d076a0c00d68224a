import copy
import hashlib
import pickle

import numpy as np
import pytest
import tenseal

from fedlab_nb.crypto.identity import Identity
from fedlab_nb.crypto.threshold import PRIME_BITS, RING, JointOwner, parameters
from fedlab_nb.crypto.threshold.key import message
from fedlab_nb.crypto.threshold.parameters import rings, seal_context
from fedlab_nb.errors import EncryptionError

SESSION = b"a session of test"


class Parties:
    """Owners who have not joined yet."""

    def __init__(self, *names: str, session: bytes = SESSION) -> None:
        self.identities = {name: Identity() for name in names}
        self.public = {name: identity.public for name, identity in self.identities.items()}
        self.owners = {name: JointOwner(name, self.identities[name], session=session) for name in names}
        self.commitments = {name: owner.commitment for name, owner in self.owners.items()}

    def reveals(self) -> dict[str, bytes]:
        return {name: owner.reveal(self.commitments, self.public) for name, owner in self.owners.items()}

    def forged(self, name: str, data: bytes) -> bytes:
        """A public part of its own choice, properly signed by ``name``."""
        seen = [part for other in sorted(self.commitments) for part in (other, self.commitments[other])]
        signed = message("reveal", SESSION, name, hashlib.sha256(data).digest(), *seen)
        return data + self.identities[name].sign(signed)


def fields(data: bytes) -> dict[int, bytes]:
    """The top-level fields of a protobuf message."""
    found, at = {}, 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            value |= (data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 0x80:
                return value

    while at < len(data):
        tag = varint()
        size = {0: None, 1: 8, 2: -1, 5: 4}[tag & 7]
        if size is None:
            found[tag >> 3] = varint().to_bytes(8, "little")
            continue
        size = varint() if size < 0 else size
        found[tag >> 3] = data[at : at + size]
        at += size
    return found


def test_the_parameters_are_within_what_the_standard_allows():
    from tenseal import sealapi

    assert seal_context().parameters_set()
    assert sum(PRIME_BITS) <= sealapi.CoeffModulus.MaxBitCount(RING, sealapi.SEC_LEVEL_TYPE.TC128)


def test_all_owners_get_the_same_key_whatever_the_order_of_what_they_hear(make_epoch):
    epoch = make_epoch(5)
    assert all(key == epoch.key for key in epoch.keys)
    turned = dict(reversed(epoch.reveals.items()))
    assert epoch.owners["B"].join(turned) == epoch.key
    assert epoch.key.names == tuple("ABCDE")
    assert epoch.key.fingerprint == hashlib.sha256(epoch.key.public_key).hexdigest()[:16]


def test_every_session_has_another_key():
    first, second = (Parties("A", "B") for _ in range(2))
    keys = [parties.owners["A"].join(parties.reveals()) for parties in (first, second)]
    assert keys[0].fingerprint != keys[1].fingerprint


def test_the_joint_key_seals_and_holds_nothing_secret(epoch):
    context = tenseal.context_from(epoch.key.public_key, n_threads=1)
    assert context.has_public_key()
    assert not context.is_private()
    assert not context.has_relin_keys()
    assert not context.has_galois_keys()
    assert set(fields(epoch.key.public_key)) == {1, 2}, "field 3 is the private part"
    assert set(fields(fields(epoch.key.public_key)[2])) == {1, 2, 3}, "public key, settings, scale"
    with pytest.raises(ValueError, match="context"):
        context.decryptor()


def test_a_server_gets_parameters_without_any_key():
    assert len(parameters()) < 200
    context = tenseal.context_from(parameters(), n_threads=1)
    assert not context.is_private()
    assert not context.has_public_key()
    assert set(fields(parameters())) == {1, 2}


def test_a_share_of_the_key_is_ternary_and_fits_the_public_part():
    parties = Parties("A", "B")
    ring, owner = rings()[0], parties.owners["A"]
    secret = ring.centred(ring.intt(owner._JointOwner__secret))
    assert set(np.unique(secret).tolist()) == {-1, 0, 1}
    assert 0.6 < np.mean(secret != 0) < 0.73, "two thirds of a key are not zero"
    b = np.frombuffer(owner._JointOwner__public, dtype="<i8").reshape(2, RING)[0]
    a = ring.uniform(message("common polynomial", SESSION, 0), RING)
    whole = [(int(x) * int(s) + int(y)) % ring.prime for x, s, y in zip(a, owner._JointOwner__secret, b, strict=True)]
    error = ring.centred(ring.intt(np.array(whole)))
    assert 2.5 < error.std() < 3.9, "the errors of SEAL have a standard deviation of 3.2"


def test_a_rogue_key_is_refused_and_its_owner_named():
    parties = Parties("A", "B", "Rogue")
    honest = {name: parties.owners[name].reveal(parties.commitments, parties.public) for name in "AB"}
    primes = np.array([[ring.prime] for ring in rings()])
    shown = {name: np.frombuffer(data[:-64], dtype="<i8").reshape(2, RING) for name, data in honest.items()}
    own = np.frombuffer(parties.owners["Rogue"]._JointOwner__public, dtype="<i8").reshape(2, RING)
    # With this one the sum of all public parts would be the rogue's own, and it could open everything alone.
    cancelling = (own - shown["A"] - shown["B"]) % primes
    forged = parties.forged("Rogue", cancelling.astype("<i8").tobytes())
    with pytest.raises(EncryptionError, match=r"'Rogue' reveals another public part than it committed to"):
        parties.owners["A"].join({**honest, "Rogue": forged})
    assert parties.owners["A"].join({**honest, "Rogue": parties.forged("Rogue", own.tobytes())}), "the forger works"


def test_a_public_part_is_shown_only_after_every_commitment():
    parties = Parties("A", "B", "C")
    some = {name: parties.commitments[name] for name in "AB"}
    with pytest.raises(EncryptionError, match=r"commitment of 'C' is missing"):
        parties.owners["A"].reveal(some, parties.public)
    with pytest.raises(EncryptionError, match=r"commitment of 'C' does not belong"):
        parties.owners["A"].reveal(parties.commitments, {name: parties.public[name] for name in "AB"})


def test_a_public_part_is_shown_for_one_set_of_commitments_only():
    parties = Parties("A", "B")
    parties.owners["A"].reveal(parties.commitments, parties.public)
    other = JointOwner("B", parties.identities["B"], session=SESSION)
    with pytest.raises(EncryptionError, match="other commitments than before"):
        parties.owners["A"].reveal({**parties.commitments, "B": other.commitment}, parties.public)
    again = parties.owners["A"].reveal(parties.commitments, parties.public)
    assert len(again) == 8 * 2 * RING + 64


def test_owners_who_were_shown_other_commitments_find_out():
    parties = Parties("A", "B", "C")
    other = JointOwner("C", parties.identities["C"], session=SESSION)
    to_a = parties.owners["A"].reveal(parties.commitments, parties.public)
    to_b = parties.owners["B"].reveal({**parties.commitments, "C": other.commitment}, parties.public)
    c = parties.owners["C"].reveal(parties.commitments, parties.public)
    with pytest.raises(EncryptionError, match="'B' does not fit"):
        parties.owners["A"].join({"A": to_a, "B": to_b, "C": c})


@pytest.mark.parametrize("at", [0, 31, 32, 95])
def test_a_changed_commitment_is_refused_and_its_owner_named(at):
    parties = Parties("A", "B")
    changed = bytearray(parties.commitments["B"])
    changed[at] ^= 1
    with pytest.raises(EncryptionError, match="'B' does not fit"):
        parties.owners["A"].reveal({**parties.commitments, "B": bytes(changed)}, parties.public)


@pytest.mark.parametrize("at", [0, 6, 7, 4095, 65_535, 65_536, 65_599])
def test_a_changed_public_part_is_refused_and_its_owner_named(at):
    parties = Parties("A", "B")
    reveals = parties.reveals()
    changed = bytearray(reveals["B"])
    changed[at] ^= 1
    with pytest.raises(EncryptionError, match="'B' does not fit"):
        parties.owners["A"].join({**reveals, "B": bytes(changed)})


@pytest.mark.parametrize("size", [0, 63, 64, 100, 65_599, 65_601])
def test_messages_of_another_length_are_refused_and_their_owner_named(size):
    parties = Parties("A", "B")
    reveals = parties.reveals()
    with pytest.raises(EncryptionError, match=rf"public part of 'B' has {size:,} bytes"):
        parties.owners["A"].join({**reveals, "B": reveals["B"][:size].ljust(size, b"x")})
    fresh = Parties("A", "B")
    with pytest.raises(EncryptionError, match=rf"commitment of 'B' has {size:,} bytes"):
        fresh.owners["A"].reveal({**fresh.commitments, "B": bytes(size)}, fresh.public)


def test_a_public_part_with_words_beyond_the_primes_is_refused():
    parties = Parties("A", "B")
    big = np.full((2, RING), 1 << 62, dtype="<i8").tobytes()
    owner = parties.owners["B"]
    owner._JointOwner__public = big
    parties.commitments["B"] = owner.commitment
    with pytest.raises(EncryptionError, match=r"public part of 'B' is not a polynomial"):
        parties.owners["A"].join(parties.reveals())


def test_messages_of_another_session_or_name_do_not_fit():
    parties = Parties("A", "B")
    old = JointOwner("B", parties.identities["B"], session=b"another session of test")
    other = JointOwner("C", parties.identities["B"], session=SESSION)
    for commitment in (old.commitment, other.commitment):
        with pytest.raises(EncryptionError, match="'B' does not fit"):
            parties.owners["A"].reveal({**parties.commitments, "B": commitment}, parties.public)


def test_an_owner_joins_under_its_own_identity_with_others_that_have_theirs():
    parties = Parties("A", "B")
    a, b = parties.public["A"], parties.public["B"]
    for wrong in ({"A": a}, {"A": a, "B": a}, {"A": b, "B": a}, {"B": b, "C": a}):
        with pytest.raises(EncryptionError, match="two or more, each with an identity of its own"):
            parties.owners["A"].reveal(parties.commitments, wrong)


def test_nothing_is_joined_witnessed_or_opened_out_of_order(epoch):
    sealed = epoch.sealed()[1]
    request = epoch.request(sealed, sealed["A"])
    lone = Parties("A", "B").owners["A"]
    for step, call in {
        "reveal": lambda: lone.join({}),
        "join": lambda: lone.witness(request, sealed["A"]),
        "join ": lambda: lone.open(request, sealed["A"], {}),
    }.items():
        with pytest.raises(EncryptionError, match=f"has not called {step.strip()} yet"):
            call()


def test_a_short_session_is_refused():
    with pytest.raises(EncryptionError, match="named by 15 bytes"):
        JointOwner("A", Identity(), session=bytes(15))


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_share_of_the_key_is_neither_copied_nor_pickled(epoch, leak):
    with pytest.raises(EncryptionError, match="cannot be copied or pickled"):
        leak(epoch.owners["A"])


def test_what_is_shown_is_one_line_without_a_key(epoch):
    owner = epoch.owners["A"]
    assert repr(owner) == f"JointOwner('A', share of joint key {epoch.key.fingerprint})"
    assert repr(Parties("A", "B").owners["A"]) == "JointOwner('A', no joint key yet)"
    assert repr(epoch.key) == f"JointKey({epoch.key.fingerprint}, opened only by all 3 owners together)"
    assert not hasattr(owner, "__dict__")
    secret = epoch.secret("A").tobytes()
    assert secret[:64] not in pickle.dumps(epoch.key)
