"""Changed, forged, swapped and repeated messages are refused by the name of who is said to have sent them."""

import re

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto.identity import Identity
from fedlab_nb.crypto.masks import MaskingOwner, owner, shamir, wire
from fedlab_nb.errors import EncryptionError
from tests.crypto.masks.common import IDENTITIES, Sum, added, draw, flipped

DAMAGES = {
    "empty": lambda message: b"",
    "cut": lambda message: message[:-1],
    "cut at the front": lambda message: message[1:],
    "longer": lambda message: message + b"\0",
    "doubled": lambda message: message * 2,
    "zeros": lambda message: bytes(len(message)),
}
BITS = st.integers(0, 10**6)


def refuses(stage, *given_, name="owner 1", **named):
    with pytest.raises(EncryptionError, match=re.escape(repr(name))) as refusal:
        stage(*given_, **named)
    assert refusal.value.why
    assert refusal.value.do


def check_every_stage(change):
    """Whatever ``change`` does to each message of owner 1, it is refused by name; the honest message still works."""
    run, who = Sum(4).advertise(), "owner 1"
    first = run.owners["owner 0"]
    refuses(first.share, run.adverts | {who: change(run.adverts[who])}, run.public, run.threshold)
    run.share()
    vectors = draw(run.names[:3], 5)
    received = run.received("owner 0")
    refuses(first.mask, vectors["owner 0"], received | {who: change(received[who])})
    run.mask(vectors).confirm()
    refuses(first.reveal, run.confirmed | {who: change(run.confirmed[who])})
    run.reveal()
    refuses(run.unmask, adverts=run.adverts | {who: change(run.adverts[who])})
    refuses(run.unmask, masked=run.masked | {who: change(run.masked[who])})
    refuses(run.unmask, revealed=run.revealed | {who: change(run.revealed[who])})
    assert run.unmask().tolist() == added(vectors.values())


@settings(deadline=None, max_examples=60)
@given(bit=BITS)
def test_one_flipped_bit_in_any_message_is_refused_by_the_name_of_its_sender(bit):
    check_every_stage(lambda message: flipped(message, bit))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_any_message_of_another_shape_is_refused_by_the_name_of_its_sender(damage):
    check_every_stage(damage)


def test_every_single_bit_of_sealed_shares_and_of_an_advert_matters():
    run = Sum(2).advertise()
    for bit in range(8 * wire.ADVERT_BYTES):
        changed = run.adverts | {"owner 1": flipped(run.adverts["owner 1"], bit)}
        refuses(run.owners["owner 0"].share, changed, run.public, 2)
    run.share()
    sealed, vector = run.received("owner 0")["owner 1"], draw(["owner 0"], 1)["owner 0"]
    for bit in range(8 * owner.SEALED_BYTES):
        refuses(run.owners["owner 0"].mask, vector, {"owner 1": flipped(sealed, bit)})


@pytest.mark.parametrize("later", [{"session": b"two"}, {"context": "round 2"}, {}], ids=["session", "round", "again"])
def test_messages_of_an_earlier_sum_of_the_same_owners_are_refused(later):
    names = Sum(4).names
    old = Sum(4).advertise().share().mask(draw(names, 5)).confirm().reveal()
    new = Sum(4, **later).advertise()
    first, who = new.owners["owner 0"], "owner 1"
    if later:
        refuses(first.share, new.adverts | {who: old.adverts[who]}, new.public, new.threshold)
    else:
        # The old advert has the same session and round: the one whose name it bears finds out.
        refuses(new.owners[who].share, new.adverts | {who: old.adverts[who]}, new.public, new.threshold)
    new.share()
    refuses(first.mask, draw(names, 5)["owner 0"], new.received("owner 0") | {who: old.sent[who]["owner 0"]})
    new.mask(draw(names, 5)).confirm()
    refuses(first.reveal, new.confirmed | {who: old.confirmed[who]})
    new.reveal()
    refuses(new.unmask, masked=new.masked | {who: old.masked[who]})
    refuses(new.unmask, revealed=new.revealed | {who: old.revealed[who]})


def test_messages_in_the_name_of_another_are_refused():
    run = Sum(4).advertise()
    refuses(run.owners["owner 0"].share, run.adverts | {"owner 1": run.adverts["owner 2"]}, run.public, 3)
    run.share()
    vectors, received = draw(run.names, 5), run.received("owner 0")
    refuses(run.owners["owner 0"].mask, vectors["owner 0"], received | {"owner 1": received["owner 2"]})
    refuses(run.owners["owner 0"].mask, vectors["owner 0"], received | {"owner 1": run.sent["owner 1"]["owner 2"]})
    refuses(run.owners["owner 0"].mask, vectors["owner 0"], received | {"owner 1": run.sent["owner 0"]["owner 1"]})
    run.mask(vectors).confirm()
    refuses(run.owners["owner 0"].reveal, run.confirmed | {"owner 1": run.confirmed["owner 2"]})
    run.reveal()
    refuses(run.unmask, masked=run.masked | {"owner 1": run.masked["owner 2"]})
    refuses(run.unmask, revealed=run.revealed | {"owner 1": run.revealed["owner 2"]})


def test_strangers_are_refused_by_name_at_every_stage():
    run, stranger = Sum(4).advertise(), "a stranger"
    made = MaskingOwner(stranger, IDENTITIES["owner 9"], **run.occasion).advertise()
    refuses(run.owners["owner 0"].share, run.adverts | {stranger: made}, run.public, 3, name=stranger)
    run.share()
    vector, received = draw(run.names, 5)["owner 0"], run.received("owner 0")
    refuses(run.owners["owner 0"].mask, vector, received | {stranger: bytes(98)}, name=stranger)
    refuses(run.owners["owner 0"].mask, vector, received | {"owner 0": bytes(98)}, name="owner 0")
    run.mask(draw(run.names[:3], 5)).confirm()
    refuses(run.owners["owner 0"].reveal, run.confirmed | {stranger: bytes(64)}, name=stranger)
    refuses(run.owners["owner 0"].reveal, run.confirmed | {"owner 3": bytes(64)}, name="owner 3")
    run.reveal()
    refuses(run.unmask, masked=run.masked | {stranger: bytes(84)}, name=stranger)
    refuses(run.unmask, revealed=run.revealed | {"owner 3": bytes(204)}, name="owner 3")
    refuses(run.unmask, names=[*run.names, stranger], name=stranger)
    refuses(run.unmask, names=[*run.names, "owner 1"], name="owner 1")


def test_an_owner_notices_when_others_are_shown_another_key_in_its_name():
    run = Sum(3).advertise()
    first = run.owners["owner 0"]
    without = {name: advert for name, advert in run.adverts.items() if name != "owner 0"}
    for adverts in (without, run.adverts | {"owner 0": run.adverts["owner 1"]}):
        refuses(first.share, adverts, run.public, 3, name="owner 0")
    refuses(first.share, run.adverts, run.public | {"owner 0": Identity().public}, 3, name="owner 0")
    unknown = {name: public for name, public in run.public.items() if name != "owner 1"}
    refuses(first.share, run.adverts, unknown, 2)


def test_a_key_that_two_owners_advertise_is_refused_with_both_names():
    run = Sum(3).advertise()
    copied = wire.Advert(run.adverts["owner 1"][:32], bytes(32))
    forged = wire.written_advert(wire.Occasion(b"one", "round 1"), "owner 2", IDENTITIES["owner 2"], copied)
    with pytest.raises(EncryptionError, match="'owner 2' and 'owner 1' advertised the same"):
        run.owners["owner 0"].share(run.adverts | {"owner 2": forged}, run.public, 3)


def test_a_mask_key_that_anybody_could_agree_with_is_refused(monkeypatch):
    honest = wire.written_advert

    def weak(occasion, name, identity, advert):
        advert = wire.Advert(bytes(32), advert.seed_digest) if name == "owner 1" else advert
        return honest(occasion, name, identity, advert)

    monkeypatch.setattr(wire, "written_advert", weak)
    run = Sum(2).advertise().share()
    refuses(run.owners["owner 0"].mask, draw(["owner 0"], 2)["owner 0"], run.received("owner 0"))


@pytest.mark.parametrize(("told", "names"), [(4, 5), (5, 5)])
def test_owners_who_were_told_different_thresholds_do_not_read_each_others_shares(told, names):
    run = Sum(names, threshold=3).advertise()
    run.sent = {name: run.owners[name].share(run.adverts, run.public, 3) for name in run.names if name != "owner 1"}
    run.sent["owner 1"] = run.owners["owner 1"].share(run.adverts, run.public, told)
    refuses(run.owners["owner 0"].mask, draw(["owner 0"], 2)["owner 0"], run.received("owner 0"))


def test_owners_who_were_shown_different_adverts_do_not_read_each_others_shares():
    run = Sum(5, threshold=3).advertise()
    fewer = {name: run.adverts[name] for name in run.names if name != "owner 0"}
    run.share(["owner 2", "owner 3", "owner 4"])
    run.sent["owner 1"] = run.owners["owner 1"].share(fewer, run.public, 3)
    refuses(run.owners["owner 2"].mask, draw(["owner 2"], 2)["owner 2"], run.received("owner 2"))


@pytest.mark.parametrize("which", ["key", "seed"])
def test_an_owner_who_shares_something_else_than_it_advertised_is_found_out(which, monkeypatch):
    run = Sum(4).advertise()
    run.share(["owner 0", "owner 2", "owner 3"])
    true, calls = shamir.share, []

    def false(secret, threshold, count):
        calls.append(secret)
        wrong = X25519PrivateKey.generate().private_bytes_raw()
        return true(wrong if len(calls) == ["key", "seed"].index(which) + 1 else secret, threshold, count)

    monkeypatch.setattr(shamir, "share", false)
    run.share(["owner 1"])
    monkeypatch.undo()
    there = [name for name in run.names if which == "seed" or name != "owner 1"]
    run.mask(draw(there, 3)).confirm().reveal()
    with pytest.raises(EncryptionError, match=rf"shares of 'owner 1' do not give the {which} of"):
        run.unmask()


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(3),
        np.zeros(3, dtype=np.int32),
        np.zeros(3, dtype=np.uint64),
        np.zeros(3, dtype=">u4"),
        np.zeros((2, 2), dtype=np.uint32),
        np.zeros(0, dtype=np.uint32),
        np.uint32(3),
        [1, 2],
    ],
    ids=lambda vector: f"{getattr(vector, 'dtype', 'list')}{getattr(vector, 'shape', '')}",
)
def test_only_vectors_of_whole_numbers_of_32_bits_are_masked(vector):
    run = Sum(2).advertise().share()
    refuses(run.owners["owner 0"].mask, vector, run.received("owner 0"), name="owner 0")


def test_vectors_of_different_lengths_are_not_added():
    run = Sum(2).advertise().share()
    run.mask({"owner 0": np.zeros(3, dtype=np.uint32), "owner 1": np.zeros(4, dtype=np.uint32)}).confirm().reveal()
    with pytest.raises(EncryptionError, match="'owner 1' masked 4 numbers, and the owners before it 3"):
        run.unmask()


def test_a_server_that_counts_other_survivors_than_were_confirmed_gets_no_sum():
    run = Sum(5).advertise().share().mask(draw([f"owner {i}" for i in range(5)], 3)).confirm().reveal()
    fewer = {name: run.masked[name] for name in run.names[:4]}
    with pytest.raises(EncryptionError, match="signature of"):
        run.unmask(masked=fewer, revealed={name: run.revealed[name] for name in fewer})


def test_errors_quote_no_numbers_of_a_vector():
    run = Sum(2).advertise().share()
    with pytest.raises(EncryptionError) as refusal:
        run.owners["owner 0"].mask(np.array([123.456]), run.received("owner 0"))
    assert "123" not in str(refusal.value)
