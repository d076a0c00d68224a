"""Each channel brings the same sum to the server, and what crosses on the way is what its protocol says."""

import itertools
import os
import signal
import sys

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.channel import HANDSHAKE, for_range, open_channel
from fedlab_nb.errors import EncryptionError, RoundError
from fedlab_nb.ledger import Ledger

SCHEMES = {
    "open": None,
    "CKKS": fl.CKKS(),
    "complex slots": fl.CKKS(complex_slots=True),
    "compact": fl.CKKS("compact"),
    "deep": fl.CKKS("deep"),
    "held by the owners": fl.CKKS(keys="owners"),
    "threshold": fl.CKKS(keys="threshold"),
    "threshold, complex slots": fl.CKKS(keys="threshold", complex_slots=True),
    "BFV": fl.BFV(),
    "BFV held by the owners": fl.BFV(keys="owners"),
    "masks": fl.SecAgg(),
}
HIDDEN = [name for name in SCHEMES if name != "open"]
NAMES = ("Ärztin", "Bank", "City", "Clinic")


def vectors(owners, length, *, bound=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(-bound, bound, length) for name in owners}


def opened(scheme, given, *, number=1, kind="update", absent=(), names=NAMES, bound=1.0, place="kernel"):
    """The sum, the plan and the ledger of one trip."""
    ledger = Ledger()
    plan = (scheme or fl.CKKS()).plan(bound=bound, owners=len(names))
    channel = open_channel(scheme, names, ledger, number, place)
    return channel.sum(kind, given, plan, number, absent=absent), plan, ledger


def on_grid(plan, given):
    return np.sum([plan.grid(vector) for vector in given.values()], axis=0)


@pytest.mark.parametrize("length", [1, 2, 3000])
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_the_sum_is_that_of_the_numbers_on_the_grid_to_the_last_bit(scheme, length):
    given = vectors(NAMES, length)
    found, plan, ledger = opened(scheme, given)
    assert found.tobytes() == on_grid(plan, given).tobytes()
    assert ledger.verify()


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_the_numbers_that_are_given_to_a_channel_stay_as_they_are(scheme):
    given, same = vectors(NAMES, 5), vectors(NAMES, 5)
    opened(scheme, given)
    assert all(given[name].tobytes() == same[name].tobytes() and given[name].flags.writeable for name in NAMES)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_all_owners_at_the_bound_still_fit(scheme, sign):
    given = {name: np.full(70, sign * 3.7) for name in NAMES}
    found, plan, _ = opened(scheme, given, bound=3.7)
    assert found.tobytes() == on_grid(plan, given).tobytes()


@pytest.mark.parametrize("scheme", [SCHEMES[name] for name in HIDDEN], ids=HIDDEN)
def test_two_owners_of_four_can_be_summed_and_the_next_round_over_others(scheme):
    ledger, plan = Ledger(), scheme.plan(bound=1.0, owners=4)
    channel = open_channel(scheme, NAMES, ledger, 1)
    for number, present in enumerate(itertools.combinations(NAMES, 2), start=1):
        given = vectors(present, 5, seed=number)
        assert channel.sum("update", given, plan, number).tobytes() == on_grid(plan, given).tobytes()


@pytest.mark.parametrize("scheme", [SCHEMES[name] for name in HIDDEN], ids=HIDDEN)
def test_nothing_that_crosses_shows_a_number_of_one_owner(scheme):
    given = {name: np.full(9, 0.5 + place / 16) for place, name in enumerate(NAMES)}
    found, plan, ledger = opened(scheme, given)
    assert found[0] == 4 * 0.5 + 6 / 16
    for message in ledger.messages:
        body = b"".join(getattr(message.payload, "parts", (message.payload,))) if message.encrypted else b""
        body = message.payload if isinstance(message.payload, bytes) else body
        for name, vector in given.items():
            steps = np.rint(np.ldexp(vector[:2], plan.grid_bits)).astype(np.int64)
            for dtype in (np.float32, np.float64):
                assert vector[:2].astype(dtype).tobytes() not in body, (message.kind, name)
            assert steps.astype("<i4").tobytes() not in body
            assert steps.astype("<i8").tobytes() not in body
        readable = message.kind.endswith(", opened") or message.kind in HANDSHAKE
        assert message.encrypted or readable, message.kind


@pytest.mark.parametrize("scheme", [SCHEMES[name] for name in HIDDEN], ids=HIDDEN)
def test_equal_numbers_cross_as_other_bytes_of_the_same_size(scheme):
    given = {name: np.zeros(100) for name in NAMES}
    sent = []
    for values in (given, given, vectors(NAMES, 100)):
        _, _, ledger = opened(scheme, values)
        sent.append([m for m in ledger.messages if m.kind == "update"])
    assert len({m.content for messages in sent for m in messages}) == 3 * 4
    for mine in zip(*sent, strict=True):
        assert len({m.nbytes for m in mine}) == 1


@pytest.mark.parametrize("scheme", [SCHEMES[name] for name in HIDDEN], ids=HIDDEN)
def test_the_sum_of_one_owner_is_refused(scheme):
    with pytest.raises(EncryptionError):
        opened(scheme, vectors(NAMES[:1], 4))


@pytest.mark.parametrize("absent", [(), NAMES[:1]], ids=["all called", "one said to be absent"])
@pytest.mark.parametrize("scheme", [SCHEMES[name] for name in HIDDEN], ids=HIDDEN)
def test_no_two_sums_of_one_round_differ_by_one_owner_under_whatever_keys(scheme, absent):
    ledger, plan = Ledger(), scheme.plan(bound=1.0, owners=4)
    channel, given = open_channel(scheme, NAMES, ledger, 1), vectors(NAMES, 4)
    channel.sum("update", given, plan, 1)
    fewer = {name: given[name] for name in NAMES[1:]}
    with pytest.raises(EncryptionError) as caught:
        channel.sum("update", fewer, plan, 1, absent=absent)
    assert "in round 1 before" in caught.value.what
    assert channel.sum("another kind", fewer, plan, 1, absent=absent).size == 4


@pytest.mark.parametrize("scheme", [SCHEMES[name] for name in HIDDEN], ids=HIDDEN)
def test_groups_of_owners_that_do_not_overlap_are_summed_in_one_round(scheme):
    ledger, plan = Ledger(), scheme.plan(bound=1.0, owners=4)
    channel = open_channel(scheme, NAMES, ledger, 1)
    for group in (NAMES[:2], NAMES[2:]):
        given = vectors(group, 4)
        assert channel.sum("update", given, plan, 1).tobytes() == on_grid(plan, given).tobytes()


@pytest.mark.parametrize("scheme", [SCHEMES[name] for name in HIDDEN], ids=HIDDEN)
def test_the_same_owners_are_not_opened_twice_in_one_round(scheme):
    ledger, plan = Ledger(), scheme.plan(bound=1.0, owners=4)
    channel = open_channel(scheme, NAMES, ledger, 1)
    channel.sum("update", vectors(NAMES, 4), plan, 1)
    with pytest.raises(EncryptionError):
        channel.sum("update", vectors(NAMES, 4), plan, 1)


@pytest.mark.parametrize("drop", [1, 2])
def test_owners_who_drop_out_after_masking_secrets_were_shared_do_not_spoil_the_sum(drop):
    names = tuple(f"Owner {n}" for n in range(1, 11))
    given = vectors(names[:-drop], 50)
    found, plan, ledger = opened(fl.SecAgg(), given, absent=names[-drop:], names=names)
    assert found.tobytes() == on_grid(plan, given).tobytes()
    sent = {m.sender for m in ledger.messages if m.kind == "key shares" and m.sender != "server"}
    assert sent == set(names)
    assert {m.sender for m in ledger.messages if m.kind == "update"} == set(given)


def test_too_few_owners_left_to_take_masks_off_is_an_error_and_no_number():
    with pytest.raises(EncryptionError):
        opened(fl.SecAgg(), vectors(NAMES[:2], 4), absent=NAMES[2:])
    with pytest.raises(EncryptionError):
        opened(fl.SecAgg(threshold=4), vectors(NAMES[:3], 4), absent=NAMES[3:])


def test_with_an_owner_of_the_key_missing_the_others_make_another_key():
    given = vectors(NAMES[:3], 30)
    found, plan, ledger = opened(fl.CKKS(keys="threshold"), given, absent=NAMES[3:])
    assert found.tobytes() == on_grid(plan, given).tobytes()
    made = [{m.sender for m in messages} for messages in _in_turn(ledger, "key commitment")]
    assert made == [set(NAMES), set(NAMES[:3])]
    sealed = [m.payload.header.fingerprint for m in ledger.messages if m.kind == "update"]
    assert len(set(sealed)) == 2
    assert len(sealed) == 6
    assert {m.sender for m in ledger.messages if m.kind == "partial opening"} == set(NAMES[:3])


def _in_turn(ledger, kind):
    """Messages of a kind that owners sent, in the groups in which they were sent."""
    groups = itertools.groupby(ledger.messages, key=lambda m: m.kind == kind and m.sender != "server")
    return [list(group) for mine, group in groups if mine]


def test_a_joint_key_is_kept_while_the_owners_stay_the_same():
    scheme, ledger = fl.CKKS(keys="threshold"), Ledger()
    plan, channel = scheme.plan(bound=1.0, owners=4), open_channel(scheme, NAMES, ledger, 1)
    fingerprints = []
    for number, present in enumerate((NAMES, NAMES, NAMES[:3], NAMES), start=1):
        channel.sum("update", vectors(present, 4), plan, number)
        fingerprints.append(channel.fingerprint)
    first, second, third, fourth = fingerprints
    assert first == second
    assert len({first, third, fourth}) == 3


def test_a_joint_key_that_has_opened_enough_is_made_anew(monkeypatch):
    from fedlab_nb.channel import threshold

    monkeypatch.setattr(threshold, "openings_limit", lambda owners: 3)
    scheme, ledger = fl.CKKS(keys="threshold"), Ledger()
    plan, channel = scheme.plan(bound=1.0, owners=4), open_channel(scheme, NAMES, ledger, 1)
    seen = []
    for number in range(1, 6):
        channel.sum("update", vectors(NAMES, 4), plan, number)
        seen.append(channel.fingerprint)
    assert seen[0] == seen[1] == seen[2] != seen[3] == seen[4]


def test_every_owner_of_a_key_that_all_hold_can_be_the_one_that_opens():
    scheme, ledger = fl.CKKS(keys="owners"), Ledger()
    plan, channel = scheme.plan(bound=1.0, owners=4), open_channel(scheme, NAMES, ledger, 1)
    for number, first in enumerate(NAMES[:3], start=1):
        present = NAMES[NAMES.index(first) :]
        given = vectors(present, 4)
        assert channel.sum("update", given, plan, number).tobytes() == on_grid(plan, given).tobytes()
        (opener,) = {m.sender for m in ledger.messages if m.kind.endswith("opened") and m.round == number}
        assert opener == first
    wrapped = [m for m in ledger.messages if m.kind == "secret key"]
    assert {(m.sender, m.receiver) for m in wrapped} == {(NAMES[0], name) for name in NAMES[1:]}
    assert all(m.encrypted for m in wrapped)
    assert "key holder" not in {party for m in ledger.messages for party in (m.sender, m.receiver)}


def test_numbers_too_wide_for_a_scheme_go_by_one_that_holds_them():
    wide = {"bound": 2.0**20, "owners": 5, "step": 1 / 16}
    assert for_range(fl.CKKS("compact"), **wide) == fl.CKKS("default")
    assert for_range(fl.CKKS("compact", complex_slots=True, keys="owners"), **wide) == fl.CKKS(
        complex_slots=True, keys="owners"
    )
    assert for_range(fl.CKKS(keys="threshold"), **wide) == fl.SecAgg(threshold=5)
    for scheme in (fl.CKKS(), fl.CKKS("deep"), fl.BFV(), fl.SecAgg()):
        assert for_range(scheme, **wide) == scheme
    for scheme in SCHEMES.values():
        if scheme is not None:
            assert for_range(scheme, bound=1.0, owners=5, step=1 / 16) == scheme
            assert for_range(scheme, bound=2.0**20, owners=5, step=None) == scheme
            found = for_range(scheme, **wide).plan(bound=wide["bound"], owners=wide["owners"])
            assert found.grid_bits >= 4


def test_a_server_in_a_process_of_its_own_adds_the_same_and_its_crash_is_a_failed_round():
    scheme, ledger = fl.CKKS(), Ledger()
    plan, channel = scheme.plan(bound=1.0, owners=4), open_channel(scheme, NAMES, ledger, 1, "process")
    given = vectors(NAMES, 5000)
    assert channel.sum("update", given, plan, 1).tobytes() == on_grid(plan, given).tobytes()
    assert channel._server.pid != os.getpid()
    os.kill(channel._server.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    with pytest.raises(RoundError) as caught:
        channel.sum("update", given, plan, 2)
    assert caught.value.party == "server"


@pytest.mark.parametrize("scheme", [SCHEMES[name] for name in HIDDEN], ids=HIDDEN)
@pytest.mark.parametrize(
    ("bad", "said"), [(np.nan, "NaN or infinite"), (np.inf, "NaN or infinite"), (1.5, "beyond the planned bound")]
)
def test_what_no_sum_can_hold_is_refused_naming_owner_and_tensor(scheme, bad, said):
    given = vectors(NAMES, 6)
    given["City"][4] = bad
    ledger, plan = Ledger(), scheme.plan(bound=1.0, owners=4)
    channel = open_channel(scheme, NAMES, ledger, 1)
    with pytest.raises(EncryptionError) as caught:
        channel.sum("update", given, plan, 1, tensors=(("0.weight", 3), ("0.bias", 2), ("weight", 1)))
    for words in ("'City'", "'0.bias'", said, "1 of 6"):
        assert words in caught.value.what
    assert "1.5" not in str(caught.value).replace("±1", "")
    assert not [m for m in ledger.messages if m.kind.endswith(", opened")]
