"""What each party can read of a message: worked out here from who holds what, and looked up in the same ledger."""

import re
from functools import cache

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb import ledger
from fedlab_nb.channel import Opaque
from fedlab_nb.errors import SettingError
from fedlab_nb.parties.shown import wire
from tests.cards.things import Reader, page_of, pictures_of
from tests.rounds.common import assert_teaches, cells, play
from tests.vertical.common import federation as vertical

SCHEMES = {
    "none": None,
    "authority": fl.CKKS(),
    "owners": fl.CKKS(keys="owners"),
    "threshold": fl.CKKS(keys="threshold"),
    "masks": fl.SecAgg(),
    "exact": fl.BFV(),
}
HIDDEN = [name for name in SCHEMES if name != "none"]
LISTENER = "whoever listens on the wire"


@cache
def played(name, owners=3):
    federation = fl.Federation(cells(owners), encrypt=SCHEMES[name])
    play(federation, num_rounds=1)
    return federation


def first(federation, kind, sender=None, receiver=None):
    """The view of the first message of a kind, from and to somebody."""
    return federation.wire(
        next(
            m.number
            for m in federation.ledger.messages
            if m.kind == kind and sender in (None, m.sender) and receiver in (None, m.receiver)
        )
    )


def can(view):
    return {sight.who: sight.word for sight in view.sights}


def words(view):
    page = re.sub(r"<style>.*?</style>|<details>.*</details>", "", page_of(view), flags=re.DOTALL)
    return " ".join(" ".join(Reader(page).words).split())


def forms(value):
    """A number as cards, frames and texts write it."""
    return {f"{value:.3f}", f"{value:.3g}", f"{value:.6g}", repr(float(value))}


@pytest.mark.parametrize(
    ("name", "others", "holder"),
    [
        ("authority", "never", "could"),
        ("exact", "never", "could"),
        ("owners", "could", None),
        ("threshold", "never", None),
        ("masks", "never", None),
    ],
)
def test_of_a_hidden_update_only_its_owner_knows_the_numbers(name, others, holder):
    view = first(played(name), "update", "Owner 1")
    expected = {"Owner 1": "own", "Owner 2, Owner 3": others, "server": "sealed", LISTENER: "sealed"}
    assert can(view) == expected | ({"key holder": holder} if holder else {})
    server = next(sight for sight in view.sights if sight.who == "server")
    assert server.found == view.message.peek
    assert not server.found.readable


def test_without_protection_the_server_and_whoever_listens_read_every_update():
    view = first(played("none"), "update", "Owner 2")
    assert can(view) == {"Owner 2": "own", "Owner 1, Owner 3": "never", "server": "reads", LISTENER: "reads"}
    for value in view.message.peek.head[:4]:
        assert f"{value:.3f}" in words(view)


@pytest.mark.parametrize("name", HIDDEN)
def test_none_of_an_owners_numbers_is_shown_where_its_update_is_hidden(name):
    # The same federation without protection sends the same numbers, up to the grid.
    clear = first(played("none"), "update", "Owner 1").message.peek.head
    view = first(played(name), "update", "Owner 1")
    assert view.numbers == first(played("none"), "update", "Owner 1").numbers == len(clear)
    told = words(view) + repr(view) + view.frame().to_string()
    assert [value for value in clear if any(form in told for form in forms(value))] == []


def test_the_key_holder_reads_the_sum_that_it_opens_and_the_server_the_one_that_is_opened():
    federation = played("authority")
    sealed = first(federation, "sum of updates")
    assert can(sealed) == {
        "Owner 1, Owner 2, Owner 3": "never",
        "server": "sealed",
        "key holder": "reads",
        LISTENER: "sealed",
    }
    opened = first(federation, "sum of updates, opened")
    keeper = next(sight for sight in sealed.sights if sight.who == "key holder")
    assert keeper.found == opened.message.peek
    assert keeper.found.readable
    assert can(opened)["server"] == "reads"


def test_an_opened_sum_that_is_shown_is_that_of_its_own_round_and_kind():
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    play(federation, num_rounds=2)
    sums = [m for m in federation.ledger.messages if m.kind in ("sum of updates", "sum of moments")]
    assert len(sums) == 3
    for message in sums:
        (opened,) = (
            m
            for m in federation.ledger.messages
            if m.kind == f"{message.kind}, opened" and m.round == message.round and m.number > message.number
        )
        keeper = next(s for s in federation.wire(message.number).sights if s.who == "key holder")
        assert keeper.found == opened.peek


def test_a_sum_under_a_key_that_nobody_holds_opens_with_all_owners_only():
    view = first(played("threshold"), "sum of updates", receiver="Owner 2")
    assert can(view) == {"Owner 2": "together", "Owner 1, Owner 3": "together", "server": "sealed", LISTENER: "sealed"}
    assert "read by nobody alone" in repr(view)
    assert "one of 3 shares of the key" in words(view)


def test_a_key_or_shares_for_one_owner_are_read_by_that_owner_alone():
    key = first(played("owners"), "secret key", receiver="Owner 2")
    assert can(key) == {"Owner 1": "own", "Owner 2": "reads", "Owner 3": "never", "server": "never", LISTENER: "sealed"}
    shares = first(played("masks"), "key shares", "server", "Owner 3")
    assert can(shares) == {"Owner 3": "reads", "Owner 1, Owner 2": "never", "server": "sealed", LISTENER: "sealed"}
    assert key.numbers == shares.numbers == 0
    assert key.comparison() is shares.comparison() is None
    assert "no numbers of an owner" in words(shares)


def test_what_is_sent_in_the_clear_is_read_on_the_wire_too():
    for name in SCHEMES:
        view = first(played(name), "model", "server", "Owner 2")
        assert can(view)["Owner 2"] == can(view)[LISTENER] == "reads"
        assert can(view)["server"] == "own"
        assert can(view)["Owner 1, Owner 3"] == "reads", "each is sent a copy of the same model"


def test_who_is_sent_a_copy_and_who_is_not_are_told_apart():
    federation = fl.Federation(cells(6))
    for name in ("Owner 1", "Owner 2", "Owner 4"):
        federation.ledger.post(1, "server", name, "model", np.zeros(3))
    federation.ledger.post(1, "server", "Owner 5", "model", np.ones(3))
    federation.ledger.post(2, "server", "Owner 6", "model", np.zeros(3))
    assert can(federation.wire(0)) == {
        "Owner 1": "reads",
        "Owner 2, Owner 4": "reads",
        "Owner 3, Owner 5, Owner 6": "never",
        "server": "own",
        LISTENER: "reads",
    }


def test_numbers_too_wide_for_shares_of_a_key_are_told_to_be_masked():
    federation = played("threshold")
    view = first(federation, "score count", "Owner 1")
    assert view.scheme == fl.SecAgg(threshold=3)
    assert "masks hide the numbers" in words(view)
    assert first(federation, "update", "Owner 1").scheme == fl.CKKS(keys="threshold")
    assert first(federation, "key shares", "Owner 1").scheme == fl.SecAgg(threshold=3)


@pytest.mark.parametrize("name", SCHEMES)
def test_every_message_of_a_run_has_a_view_whose_reader_knows_no_more_than_it_holds(name):
    federation = played(name)
    for message in federation.ledger.messages:
        view = federation.wire(message.number)
        told = can(view)
        assert view.message == message
        assert LISTENER in told
        assert ("key holder" in told) == (name in ("authority", "exact"))
        by_name = {who: word for names, word in told.items() for who in names.split(", ")}
        assert {*federation.names, "server"} <= set(by_name)
        for party, word in by_name.items():
            if party not in (message.sender, message.receiver, LISTENER):
                copied = any(m.content == message.content and m.receiver == party for m in federation.ledger.messages)
                assert word in ("never", "could", "together") or (word == "reads" and copied), (message, party)
        if message.encrypted:
            assert told["server"] in ("sealed", "never")
            assert told[LISTENER] == "sealed"
        else:
            assert {by_name[message.sender], by_name[message.receiver]} == {"own", "reads"}


def test_many_owners_are_told_in_one_line():
    view = first(played("authority", owners=6), "update", "Owner 4")
    assert list(can(view)) == ["Owner 4", "the other 5 owners", "server", "key holder", LISTENER]
    (picture,) = pictures_of(re.sub("<details>.*</details>", "", page_of(view), flags=re.DOTALL))
    assert ">Owner 4<" in picture


def test_the_card_tells_way_size_and_scheme_and_its_picture_the_same():
    view = first(played("authority"), "update", "Owner 1")
    m = view.message
    told = words(view)
    for text in (
        "Owner 1 → server",
        f"{m.nbytes / 1000:.1f} kB",
        "CKKS, preset default",
        f"message {m.number}, update",
    ):
        assert text in told
    assert "this message goes sealed from Owner 1 to server" in page_of(view)
    assert Reader(page_of(view)).faults == []


def test_the_frame_has_a_row_for_each_line_of_the_card():
    view = first(played("authority"), "update", "Owner 1")
    frame = view.frame()
    assert list(frame.index) == [sight.who for sight in view.sights]
    assert frame.loc["server", "finds"] == str(view.message.peek)
    assert frame.loc["key holder", "can"] == "could read it"


@pytest.mark.parametrize(("name", "columns"), [("none", 4), ("masks", 4), ("owners", 5), ("exact", 5)])
def test_below_is_a_comparison_of_as_many_invented_numbers(name, columns):
    view = first(played(name, owners=6), "update", "Owner 1")
    compared = view.comparison()
    assert (compared.owners, compared.numbers) == (wire.MOST_OWNERS, view.numbers)
    assert len(compared.columns) == columns
    assert compared is view.comparison(), "it is measured once"
    assert f"{view.numbers} invented numbers from each of 5 owners" in page_of(view)


def test_a_long_message_is_compared_at_a_length_that_a_reader_can_wait_for(monkeypatch):
    monkeypatch.setattr(wire, "MOST_NUMBERS", 5)
    view = first(played("none"), "update", "Owner 1")
    assert view.numbers > 5
    assert view.comparison().numbers == 5


def test_a_message_whose_payload_is_no_longer_kept_is_shown_all_the_same(monkeypatch):
    monkeypatch.setattr(ledger, "KEPT_BYTES", 1)
    federation = fl.Federation(cells(), encrypt=fl.CKKS(keys="threshold"))
    play(federation, num_rounds=1)
    for kind, scheme in (("update", fl.CKKS(keys="threshold")), ("score count", fl.SecAgg(threshold=3))):
        view = first(federation, kind, "Owner 1")
        assert federation.ledger.messages[view.message.number].payload is None
        assert (can(view), view.scheme) == (can(first(played("threshold"), kind, "Owner 1")), scheme)


def test_a_view_keeps_no_payload():
    assert first(played("none"), "update", "Owner 1").message.payload is None


@pytest.mark.parametrize("number", [-1, 10**6, "3", None, 1.0])
def test_a_number_that_no_message_has_is_refused_and_told(number):
    federation = played("none")
    with pytest.raises(SettingError) as caught:
        federation.wire(number)
    assert_teaches(caught, repr(number), f"0 to {len(federation.ledger) - 1}")


def test_before_anything_crossed_it_says_so():
    with pytest.raises(SettingError) as caught:
        fl.Federation(cells()).wire(0)
    assert "nothing has crossed" in caught.value.what


def test_a_number_may_come_from_a_frame():
    federation = played("none")
    for number in federation.seen_by("server").frame().index.to_numpy()[:3]:
        assert isinstance(number, np.integer)
        assert federation.wire(number).message.number == number


def test_ids_are_hidden_by_owners_secret_numbers_where_nothing_is_encrypted():
    fed = vertical(encrypt=None)
    fl.vertical.align(fed)
    for message in fed.ledger.messages:
        view = fed.wire(message.number)
        said = words(view)
        assert not re.search("every single update|Scheme", page_of(view)), "no server reads updates here"
        assert ("nothing hides it" in said) == (message.kind == "ids in common")
        assert ("Hidden by owners' secret numbers" in said) == (message.kind == "masked ids")
        assert view.comparison() is None


def test_what_is_sealed_by_no_scheme_is_not_said_to_be_readable():
    fed = fl.Federation(cells())
    fed.ledger.post(1, "Owner 1", "Owner 2", "masked ids", Opaque(b"x" * 64, "two ids, masked", 16))
    view = fed.wire(0)
    assert "nothing hides it" not in words(view)
    assert can(view) == {
        "Owner 1": "own",
        "Owner 2": "sealed",
        "Owner 3": "never",
        "server": "sealed",
        LISTENER: "sealed",
    }
