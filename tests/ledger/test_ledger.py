import hashlib
import itertools
import json
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest

from fedlab_nb import ledger as module
from fedlab_nb.errors import SettingError
from fedlab_nb.ledger import GENESIS, Ledger
from fedlab_nb.records import Message, Peek, Traffic


@dataclass(frozen=True)
class FakeSealed:
    """Stands in for ciphertexts: this room must not know what they are."""

    parts: tuple[bytes, ...] = (b"\x5e\x10" * 500, b"\xa1" * 300)
    plain_nbytes: int = 8 * 31
    head: str = "5e105e10"
    note: str = "31 numbers in 2 ciphertexts"


def filled():
    ledger = Ledger()
    ledger.post(0, "key holder", "A", "public key", b"\x01\x02" * 200)
    ledger.post(1, "server", "A", "model", np.array([1.5, 2.5, 3.5], dtype=np.float32))
    ledger.post(1, "server", "B", "encoding", '{"age": [0, 1]}')
    ledger.post(1, "A", "server", "update", FakeSealed())
    ledger.post(1, "B", "server", "update", np.arange(20.0))
    return ledger


def test_what_crossed_is_recorded_as_it_crossed():
    key, model, encoding, sealed, plain = filled().messages
    assert (model.nbytes, model.plain_nbytes, model.encrypted) == (12, 12, False)
    assert (plain.nbytes, plain.plain_nbytes, plain.encrypted) == (160, 160, False)
    assert (sealed.nbytes, sealed.plain_nbytes, sealed.encrypted) == (1300, 8 * 31, True)
    assert (key.nbytes, key.plain_nbytes, key.encrypted) == (400, 0, False)
    assert (encoding.nbytes, encoding.plain_nbytes) == (15, 15)
    assert model.peek.head == (1.5, 2.5, 3.5)
    assert plain.peek == Peek(True, tuple(np.arange(8.0).tolist()), (20,))
    assert not sealed.peek.readable
    assert sealed.peek.head == "5e105e10"
    assert "31 numbers in 2 ciphertexts" in str(sealed.peek)
    assert encoding.peek.head == '{"age": [0, 1]}'


def test_an_empty_vector_and_a_long_text_can_cross():
    ledger = Ledger()
    assert ledger.post(1, "A", "server", "own score", np.zeros(0)).nbytes == 0
    assert len(str(ledger.post(1, "A", "server", "list", "x" * 5000).peek.head)) == 120
    assert ledger.verify()


def test_messages_are_chained_from_the_first():
    messages = filled().messages
    assert [m.number for m in messages] == [0, 1, 2, 3, 4]
    assert messages[0].previous == GENESIS
    assert [m.previous for m in messages[1:]] == [m.digest for m in messages[:-1]]
    assert len({m.digest for m in messages}) == 5


def test_an_untouched_ledger_verifies_and_so_does_an_empty_one():
    assert filled().verify()
    assert Ledger().verify()


OTHER = {
    "number": 77,
    "round": 9,
    "sender": "C",
    "receiver": "C",
    "kind": "something else",
    "nbytes": 1,
    "plain_nbytes": 1,
    "encrypted": None,
    "peek": Peek(True, (9.0,), (1,)),
    "digest": "1" * 64,
    "previous": "1" * 64,
    "payload": np.array([9.0]),
    "content": "1" * 64,
}


def test_no_field_is_forgotten_below():
    assert set(OTHER) == {field.name for field in fields(Message)}


@pytest.mark.parametrize("field", OTHER)
@pytest.mark.parametrize("place", range(5))
def test_altering_any_field_of_any_message_is_noticed(field, place):
    ledger = filled()
    ledger._messages[place] = replace(ledger._messages[place], **{field: OTHER[field]})
    assert not ledger.verify()


@pytest.mark.parametrize("field", [name for name in OTHER if name != "payload"])
def test_altering_a_message_is_noticed_after_its_payload_was_dropped(monkeypatch, field):
    monkeypatch.setattr(module, "KEPT_BYTES", 200)
    ledger = filled()
    assert ledger.messages[1].payload is None
    assert ledger.verify()
    ledger._messages[1] = replace(ledger._messages[1], **{field: OTHER[field]})
    assert not ledger.verify()


def test_a_message_that_was_altered_and_chained_anew_is_noticed_at_the_next_one():
    ledger = filled()
    forged = replace(ledger._messages[1], sender="C")
    ledger._messages[1] = replace(forged, digest=module.digest_again(forged))
    assert not ledger.verify()


def test_a_dropped_payload_is_not_an_excuse_for_the_ones_that_are_kept():
    ledger = filled()
    ledger._messages[1] = replace(ledger._messages[1], payload=None)
    assert not ledger.verify()


@pytest.mark.parametrize("place", range(5))
def test_deleting_any_message_is_noticed_also_the_last(place):
    ledger = filled()
    del ledger._messages[place]
    assert not ledger.verify()


def test_adding_a_message_behind_the_ledgers_back_is_noticed():
    ledger = filled()
    ledger._messages.append(ledger._messages[-1])
    assert not ledger.verify()


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(range(5), 2)))
def test_exchanging_messages_is_noticed(one, other):
    ledger = filled()
    messages = ledger._messages
    messages[one], messages[other] = messages[other], messages[one]
    assert not ledger.verify()


def test_changing_a_kept_array_in_place_takes_force_and_is_noticed():
    ledger = filled()
    payload = ledger.messages[1].payload
    with pytest.raises(ValueError, match="read-only"):
        payload[0] = 9.0
    payload.setflags(write=True)
    payload[0] = 9.0
    assert not ledger.verify()


def test_the_sender_may_go_on_using_its_array():
    ledger, weights = Ledger(), np.array([1.0, 2.0])
    ledger.post(1, "server", "A", "model", weights)
    weights[:] = 0.0
    assert ledger.messages[0].payload.tolist() == [1.0, 2.0]
    assert ledger.verify()


def test_an_array_that_nobody_may_write_to_is_kept_as_it_is():
    ledger, weights = Ledger(), np.arange(5.0)
    weights.setflags(write=False)
    assert ledger.post(1, "A", "server", "update", weights).payload is weights
    part = weights[1:3]
    assert ledger.post(1, "A", "server", "update", part).payload is not part, "whoever holds the whole may open it"
    assert ledger.verify()


STRANGE = (np.array([np.nan, np.inf, -0.0]), np.arange(12.0).reshape(3, 4).T, np.zeros((0, 2)), 'é "\u2028\n', b"\x00")


@pytest.mark.parametrize("payload", [*STRANGE, np.arange(3, dtype=np.float32) / 3, FakeSealed()], ids=repr)
@pytest.mark.parametrize("sender", ["A", '"é\\'])
@pytest.mark.parametrize("number", [1, np.int64(1)], ids=repr)
def test_a_digest_is_the_hash_of_all_fields_as_json(payload, sender, number):
    ledger = Ledger()
    ledger.post_all(number, sender, ["B", "C"], "kind", payload)
    for m in ledger.messages:
        heads = m.number, m.round, m.sender, m.receiver, m.kind, m.nbytes, m.plain_nbytes, m.encrypted
        seen = m.peek.readable, m.peek.head, m.peek.shape, m.peek.note
        text = json.dumps([heads, seen, m.content, m.previous], default=str)
        assert m.digest == hashlib.sha256(text.encode()).hexdigest()
    assert ledger.verify()


def test_messages_of_many_senders_are_those_that_each_would_have_sent():
    sent = {"A": np.arange(3.0), "B": "text", "C": FakeSealed()}
    together, one_by_one = Ledger(), Ledger()
    posted = together.post_each(1, "server", "update", sent)
    for name, payload in sent.items():
        one_by_one.post(1, name, "server", "update", payload)
    assert tuple(posted) == together.messages
    assert [m.digest for m in together.messages] == [m.digest for m in one_by_one.messages]
    assert together.crossings == one_by_one.crossings
    assert together.verify()


def test_each_party_sees_its_own_messages_and_no_others():
    ledger = filled()
    assert [m.kind for m in ledger.seen_by("A")] == ["public key", "model", "update"]
    assert [m.kind for m in ledger.seen_by("B")] == ["encoding", "update"]
    assert [m.kind for m in ledger.seen_by("server")] == ["model", "encoding", "update", "update"]
    assert len(ledger.seen_by("nobody")) == 0
    for party in ("A", "B", "server", "key holder"):
        assert all(party in (m.sender, m.receiver) for m in ledger.seen_by(party))


def test_a_view_does_not_grow_after_it_was_taken():
    ledger = filled()
    view = ledger.seen_by("A")
    ledger.post(2, "A", "server", "update", np.zeros(3))
    assert len(view) == 3


def test_a_view_opens_what_its_party_holds_and_nothing_else():
    view = filled().seen_by("B")
    assert view.open(2).payload == '{"age": [0, 1]}'
    for number in (0, 1, 3, 99, -1):
        with pytest.raises(SettingError, match=f"Message {number} is not among") as caught:
            view.open(number)
        assert caught.value.why
        assert caught.value.do
    with pytest.raises(SettingError, match="none"):
        filled().seen_by("nobody").open(0)


def test_a_view_is_a_table_of_what_was_readable():
    frame = filled().seen_by("server").frame()
    assert frame.index.tolist() == [1, 2, 3, 4]
    assert frame["readable"].tolist() == [True, True, False, True]
    assert frame["bytes"].tolist() == [12, 15, 1300, 160]
    assert frame.loc[3, "seen"].startswith("sealed: 5e10")
    assert filled().seen_by("nobody").frame().empty


def test_a_view_says_how_much_of_it_is_sealed():
    assert repr(filled().seen_by("server")) == "View of 'server': 4 messages, 1 of them sealed"


def test_names_and_contents_are_escaped_in_the_notebook():
    evil = "<img onerror=x>"
    ledger = Ledger()
    ledger.post(1, evil, "server", f"<b>{evil}", f"<script>{evil}")
    for party in (evil, "server"):
        html = ledger.seen_by(party)._repr_html_()
        assert "<img" not in html
        assert "<script" not in html
        assert "<b>&lt;" not in html.replace("<div><b>", "")
        assert "&lt;img onerror=x&gt;" in html


def test_memory_is_bounded_while_heads_and_the_chain_stay(monkeypatch):
    monkeypatch.setattr(module, "KEPT_BYTES", 1000)
    ledger = Ledger()
    for number in range(50):
        ledger.post(number, "A", "server", "update", np.full(40, float(number)))  # 320 bytes each
        kept = [m for m in ledger.messages if m.payload is not None]
        assert sum(m.nbytes for m in kept) <= 1000
    assert [m.number for m in kept] == [47, 48, 49]
    assert ledger.verify()
    assert [m.peek.head[0] for m in ledger.messages] == list(map(float, range(50)))
    assert ledger.traffic()["update"].nbytes == 50 * 320
    assert ledger.seen_by("server").open(3).payload is None


def test_the_latest_message_is_kept_however_large(monkeypatch):
    monkeypatch.setattr(module, "KEPT_BYTES", 10)
    ledger = Ledger()
    for _ in range(3):
        ledger.post(1, "A", "server", "update", np.zeros(100))
        assert ledger.messages[-1].payload is not None
    assert sum(m.payload is not None for m in ledger.messages) == 1
    assert ledger.verify()


def test_traffic_adds_up_by_kind_and_from_a_message_on():
    ledger = filled()
    assert ledger.traffic()["update"] == Traffic(2, 1460, 160 + 248, encrypted=True)
    assert ledger.traffic()["model"] == Traffic(1, 12, 12, encrypted=False)
    assert set(ledger.traffic(since=3)) == {"update"}
    assert ledger.traffic(since=5) == {}
    assert sum(t.nbytes for t in ledger.traffic().values()) == sum(m.nbytes for m in ledger.messages)


def test_crossings_are_the_distinct_ways_in_order():
    ledger = filled()
    ledger.post(2, "A", "server", "update", FakeSealed())
    assert ledger.crossings == (
        ("public key", "key holder", "A", False),
        ("model", "server", "A", False),
        ("encoding", "server", "B", False),
        ("update", "A", "server", True),
        ("update", "B", "server", False),
    )


def test_the_text_of_a_ledger_has_its_length_its_bytes_and_its_head():
    ledger = filled()
    assert repr(ledger) == f"Ledger(5 messages, 1,887 bytes, chain head {ledger.messages[-1].digest[:12]})"
    assert repr(Ledger()) == "Ledger(0 messages, 0 bytes, chain head empty)"
    assert len(ledger) == 5
