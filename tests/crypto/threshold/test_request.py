"""Law: owners open the sum of exactly what each of them sealed, and nothing else that a server could make of it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto.threshold import SLOTS, OpeningRequest, digest
from fedlab_nb.crypto.threshold.key import message
from fedlab_nb.crypto.threshold.parameters import RING, rings
from fedlab_nb.crypto.threshold.request import LinearHash, misfit
from fedlab_nb.errors import EncryptionError

P = rings()[0].prime


def hashed(epoch, challenge: bytes, chunks: list[bytes]) -> tuple[int, ...]:
    made = LinearHash(challenge, len(chunks))
    for start, chunk in enumerate(chunks):
        made.add(start, epoch.words(chunk)[None])
    return made.value


def refuses(epoch, sealed, total, match: str) -> None:
    """Every owner refuses to open ``total`` as the sum of ``sealed``, with the same reason."""
    request = epoch.request(sealed, total)
    witnesses = epoch.witnesses(request, sealed)
    for owner in epoch.owners.values():
        with pytest.raises(EncryptionError, match=match):
            owner.open(request, total, witnesses)


def test_one_owners_numbers_are_not_opened_in_place_of_the_sum(epoch):
    sealed = epoch.sealed(seed=40)[1]
    refuses(epoch, sealed, sealed["B"], "holds the numbers of 'B' alone")


def test_a_sum_that_leaves_an_owner_out_is_refused_and_the_owner_named(epoch):
    sealed = epoch.sealed(seed=41)[1]
    refuses(epoch, sealed, epoch.add([sealed["A"], sealed["C"]]), "'B' is left out of the sum")


@pytest.mark.parametrize("times", [2, 4, -1, -3])
def test_a_sum_in_which_an_owner_counts_more_than_once_is_refused_and_the_owner_named(epoch, times):
    sealed = epoch.sealed(chunks=2, seed=42)[1]
    rest = epoch.add([sealed["A"], sealed["B"]])
    changed = [epoch.packed(epoch.words(r) + times * epoch.words(c)) for r, c in zip(rest, sealed["C"], strict=True)]
    refuses(epoch, sealed, changed, f"'C' is counted {times} times")


def test_doubled_by_tenseal_itself_it_is_refused_too(epoch):
    sealed = epoch.sealed(seed=43)[1]
    refuses(epoch, sealed, epoch.add([*sealed.values(), sealed["A"]]), "'A' is counted 2 times")


def test_what_an_owner_sealed_in_another_round_is_not_opened_again(epoch):
    old, new = epoch.sealed(seed=44)[1], epoch.sealed(seed=45)[1]
    refuses(epoch, new, epoch.add([new["A"], old["B"], new["C"]]), "not that of what the owners sealed")


def test_swapped_ciphertexts_are_refused(epoch):
    sealed = epoch.sealed(chunks=2, seed=46)[1]
    refuses(epoch, sealed, epoch.add(sealed.values())[::-1], "not that of what the owners sealed")


@pytest.mark.parametrize("place", [(0, 0), (1, RING - 1)])
def test_one_changed_word_is_refused(epoch, place):
    sealed = epoch.sealed(seed=47)[1]
    changed = epoch.words(epoch.add(sealed.values())[0])
    changed[place] += 1
    refuses(epoch, sealed, [epoch.packed(changed)], "not that of what the owners sealed")


def test_an_honest_sum_is_opened_after_a_refused_one(epoch):
    sealed = epoch.sealed(seed=48)[1]
    total = epoch.add(sealed.values())
    bad = epoch.request(sealed, sealed["A"], kind="retry", number=1)
    with pytest.raises(EncryptionError):
        epoch.owners["A"].open(bad, sealed["A"], epoch.witnesses(bad, sealed))
    good = epoch.request(sealed, total, kind="retry", number=1)
    assert epoch.openings(good, total, epoch.witnesses(good, sealed))


def test_a_sum_made_to_fit_the_check_after_its_random_numbers_are_known_does_not_pass(epoch):
    sealed = epoch.sealed(seed=49)[1]
    request = epoch.request(sealed, epoch.add(sealed.values()), kind="fitted", number=1)
    challenge, witnesses = request.challenge(epoch.key), epoch.witnesses(request, sealed)
    wanted = [sum(h) % P for h in zip(*(hashed(epoch, challenge, own) for own in sealed.values()), strict=True)]
    # B's ciphertext alone, with two words changed so that both linear equations hold.
    units = np.eye(2, RING, dtype=np.int64)[:, None, :] * np.array([1, 0])[:, None]
    (a, b), (c, d) = (hashed(epoch, challenge, [epoch.packed(unit)]) for unit in units)
    e, f = ((w - h) % P for w, h in zip(wanted, hashed(epoch, challenge, sealed["B"]), strict=True))
    inverse = pow(a * d - b * c, -1, P)
    x, y = (e * d - f * c) * inverse % P, (a * f - b * e) * inverse % P
    fitted = epoch.words(sealed["B"][0])
    fitted[0, :2] = [(int(fitted[0, 0]) + x) % P, (int(fitted[0, 1]) + y) % P]
    assert list(hashed(epoch, challenge, [epoch.packed(fitted)])) == wanted, "the forgery fits the old random numbers"
    with pytest.raises(EncryptionError, match="not the sum of round 1 that was announced"):
        epoch.owners["A"].open(request, [epoch.packed(fitted)], witnesses)
    announced = dataclasses.replace(request, total=digest([epoch.packed(fitted)]))
    with pytest.raises(EncryptionError, match="'A' does not fit"):
        epoch.owners["A"].open(announced, [epoch.packed(fitted)], witnesses)
    with pytest.raises(EncryptionError, match="not that of what the owners sealed"):
        epoch.owners["A"].open(announced, [epoch.packed(fitted)], epoch.witnesses(announced, sealed))


def test_an_owner_vouches_only_for_what_it_sealed(epoch):
    sealed = epoch.sealed(seed=50)[1]
    other = epoch.seal(np.zeros((1, SLOTS)))
    request = epoch.request({**sealed, "B": other}, epoch.add([sealed["A"], other, sealed["C"]]))
    with pytest.raises(EncryptionError, match="'B' is said to have sealed other ciphertexts"):
        epoch.owners["B"].witness(request, sealed["B"])


def test_one_owners_ciphertexts_in_anothers_place_are_refused_by_all(epoch):
    sealed = epoch.sealed(seed=51)[1]
    request = epoch.request({**sealed, "B": sealed["A"]}, sealed["C"])
    for name, owner in epoch.owners.items():
        with pytest.raises(EncryptionError, match="'A', 'B' are said to have sealed the same"):
            owner.witness(request, sealed[name])


def test_a_request_names_exactly_the_owners_of_the_key(epoch):
    sealed = epoch.sealed(seed=52)[1]
    few = {name: sealed[name] for name in "AB"}
    with pytest.raises(EncryptionError, match="vector of 'C' is missing"):
        epoch.owners["A"].witness(epoch.request(few, epoch.add(few.values())), sealed["A"])
    many = {**sealed, "D": epoch.seal(np.zeros((1, SLOTS)))}
    with pytest.raises(EncryptionError, match="vector of 'D' does not belong"):
        epoch.owners["A"].witness(epoch.request(many, sealed["A"]), sealed["A"])


def test_vectors_of_different_lengths_are_refused(epoch):
    sealed = epoch.sealed(seed=53)[1]
    with pytest.raises(EncryptionError, match="'B' sealed 2 ciphertexts, and the sum has 1"):
        epoch.request({**sealed, "B": sealed["B"] * 2}, sealed["A"])
    longer = dataclasses.replace(epoch.request(sealed, sealed["A"]), chunks=2)
    with pytest.raises(EncryptionError, match="'A' is said to have sealed other"):
        epoch.owners["A"].witness(longer, sealed["A"])


def test_every_flipped_bit_of_a_witness_is_refused_and_its_owner_named(make_epoch):
    epoch = make_epoch(2)
    sealed = epoch.sealed(seed=54)[1]
    total = epoch.add(sealed.values())
    request = epoch.request(sealed, total)
    witnesses = epoch.witnesses(request, sealed)
    for bit in range(8 * len(witnesses["B"])):
        changed = bytearray(witnesses["B"])
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EncryptionError, match="'B' does not fit"):
            epoch.owners["A"].open(request, total, {**witnesses, "B": bytes(changed)})


@pytest.mark.parametrize("size", [0, 63, 79, 81])
def test_a_witness_of_another_length_or_none_is_refused_and_its_owner_named(make_epoch, size):
    epoch = make_epoch(2)
    sealed = epoch.sealed(seed=55)[1]
    total = epoch.add(sealed.values())
    request = epoch.request(sealed, total)
    witnesses = epoch.witnesses(request, sealed)
    with pytest.raises(EncryptionError, match=f"witness of 'B' has {size} bytes"):
        epoch.owners["A"].open(request, total, {**witnesses, "B": bytes(size)})
    with pytest.raises(EncryptionError, match="witness of 'B' is missing"):
        epoch.owners["A"].open(request, total, {"A": witnesses["A"]})


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_of_an_opening_is_refused_and_its_owner_named(make_epoch, data):
    epoch = make_epoch(2)
    if not hasattr(epoch, "kept"):
        epoch.kept = epoch.opened(epoch.sealed(chunks=2, seed=56)[1])
    request, total, openings = epoch.kept
    opening = openings["B"]
    part = data.draw(st.integers(0, 2))
    changed = bytearray(opening.signature if part == 2 else opening.chunks[part])
    bit = data.draw(st.integers(0, 8 * len(changed) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    chunks = [bytes(changed) if part == i else chunk for i, chunk in enumerate(opening.chunks)]
    signature = bytes(changed) if part == 2 else opening.signature
    bad = dataclasses.replace(opening, chunks=tuple(chunks), signature=signature)
    with pytest.raises(EncryptionError, match="'B' does not fit"):
        epoch.numbers(request, total, {**openings, "B": bad})


def test_openings_of_other_lengths_other_owners_or_other_rounds_are_refused(make_epoch):
    epoch = make_epoch(2)
    sealed = epoch.sealed(seed=57)[1]
    request, total, openings = epoch.opened(sealed)
    b = openings["B"]
    for chunks in ((), b.chunks * 2, (b.chunks[0][:-1],), (b"",)):
        with pytest.raises(EncryptionError, match="partial opening of 'B' is not 1 times 20,480 bytes"):
            epoch.numbers(request, total, {**openings, "B": dataclasses.replace(b, chunks=chunks)})
    with pytest.raises(EncryptionError, match="'B' does not fit"):
        epoch.numbers(request, total, {"A": openings["A"], "B": openings["A"]})
    later = epoch.opened(sealed, total)[2]["B"]
    with pytest.raises(EncryptionError, match="'B' does not fit"):
        epoch.numbers(request, total, {**openings, "B": later})


@settings(max_examples=60, deadline=None)
@given(bit=st.integers(0, 8 * 7 * 2 * RING - 1))
def test_a_flipped_bit_of_the_sum_is_refused_by_owners_and_by_who_puts_openings_together(make_epoch, bit):
    epoch = make_epoch(2)
    if not hasattr(epoch, "kept_sum"):
        sealed = epoch.sealed(seed=58)[1]
        total = epoch.add(sealed.values())
        request = epoch.request(sealed, total)
        witnesses = epoch.witnesses(request, sealed)
        epoch.kept_sum = request, total, witnesses, {"A": epoch.owners["A"].open(request, total, witnesses)}
        epoch.kept_sum[3]["B"] = epoch.owners["B"].open(request, total, witnesses)
        epoch.kept_later = epoch.request(sealed, total), sealed
    request, total, witnesses, openings = epoch.kept_sum
    changed = bytearray(total[0])
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(EncryptionError, match="not the sum of round"):
        epoch.numbers(request, [bytes(changed)], openings)
    later, sealed = epoch.kept_later
    with pytest.raises(EncryptionError, match="not the sum of round"):
        epoch.owners["A"].open(later, [bytes(changed)], epoch.witnesses(later, sealed))


def test_ciphertexts_that_are_none_are_refused_though_their_digest_is_announced(epoch):
    sealed = epoch.sealed(seed=59)[1]
    for junk in (b"", b"x", bytes(7 * 2 * RING - 1), b"\xff" * (7 * 2 * RING), bytes(7 * 2 * RING + 1)):
        refuses(epoch, sealed, [junk], "A ciphertext of the sum")


def test_a_lying_owners_zero_witness_is_refused_like_any_other(make_epoch):
    epoch = make_epoch(2)
    sealed = epoch.sealed(seed=60)[1]
    total = epoch.add(sealed.values())
    request = epoch.request(sealed, total)
    witnesses = epoch.witnesses(request, sealed)
    for value in (0, P, (1 << 64) - 1):
        content = value.to_bytes(8, "little") * 2
        signed = message("witness", request.challenge(epoch.key), "B", content)
        witnesses["B"] = content + epoch.identities["B"].sign(signed)
        with pytest.raises(EncryptionError, match="sum"):
            epoch.owners["A"].open(request, total, witnesses)


def test_everything_in_a_request_changes_the_random_numbers(epoch, make_epoch):
    sealed = epoch.sealed(seed=61)[1]
    request = epoch.request(sealed, sealed["A"])
    changed = [
        dataclasses.replace(request, number=request.number + 1),
        dataclasses.replace(request, kind="other"),
        dataclasses.replace(request, chunks=2),
        dataclasses.replace(request, total=digest(sealed["B"])),
        dataclasses.replace(request, sealed={**request.sealed, "A": digest([b"other"])}),
    ]
    challenges = {r.challenge(epoch.key) for r in (request, *changed)}
    other_key = dataclasses.replace(epoch.key, public_key=b"other")
    other_session = dataclasses.replace(epoch.key, session=b"other")
    challenges |= {request.challenge(key) for key in (other_key, other_session)}
    assert len(challenges) == 8


def test_the_hash_is_what_whole_numbers_give():
    rng = np.random.default_rng(62)
    given_words = rng.integers(0, P, (3, 2, RING))
    given_words[0, :, :3] = P - 1
    challenge, ring = b"challenge", rings()[0]
    made = LinearHash(challenge, 3)
    made.add(0, given_words[:2])
    made.add(2, given_words[2:])
    within = ring.uniform(message("words", challenge), 4 * RING).reshape(2, 2 * RING).tolist()
    across = ring.uniform(message("ciphertexts", challenge), 6).reshape(2, 3).tolist()
    flat = given_words.reshape(3, -1).tolist()
    expected = [
        sum(a * sum(r * c for r, c in zip(w, row, strict=True)) for a, row in zip(across[i], flat, strict=True)) % P
        for i, w in enumerate(within)
    ]
    assert list(made.value) == expected
    assert made.written == b"".join(value.to_bytes(8, "little") for value in expected)


def test_the_hash_of_a_sum_is_the_sum_of_the_hashes_also_after_tenseal_added(epoch):
    sealed = epoch.sealed(chunks=2, seed=63)[1]
    hashes = [hashed(epoch, b"challenge", own) for own in sealed.values()]
    assert hashed(epoch, b"challenge", epoch.add(sealed.values())) == tuple(
        sum(h) % P for h in zip(*hashes, strict=True)
    )


def test_what_is_wrong_with_a_sum_is_said_only_where_something_is():
    hashes = {"A": (5, 7), "B": (11, 13)}
    assert misfit((16, 20), hashes) is None
    assert misfit((5, 7), hashes) == "The sum holds the numbers of 'A' alone."
    assert misfit((16 + 22, 20 + 26), hashes) == "'B' is counted 3 times in the sum."
    assert misfit((1, 2), hashes) == "The sum is not that of what the owners sealed."


def test_a_request_is_shown_in_one_line(epoch):
    sealed = epoch.sealed(seed=64)[1]
    request = OpeningRequest.of(3, "update", sealed, sealed["A"])
    assert repr(request) == "OpeningRequest(round 3, 'update': 1 ciphertexts of 3 owners)"
