from dataclasses import FrozenInstanceError

import pytest

from fedlab_nb.records import Column, Message, Peek, PrivacyEvent, Schema


def test_a_sealed_message_shows_hexadecimal_and_how_much_is_inside():
    text = str(Peek(False, "5e10a1b2", (31,), "31 numbers in 1 ciphertext"))
    assert text == "sealed: 5e10a1b2… (31 numbers in 1 ciphertext)"
    assert str(Peek(False, "5e10", (31,))) == "sealed: 5e10…"


@pytest.mark.parametrize(
    ("head", "shape", "text"),
    [
        ((0.5, -1.25), (2,), "0.5, -1.25"),
        ((0.5, -1.25), (9,), "0.5, -1.25, …"),
        ((1.0, 2.0), (1, 30), "1, 2, …"),
        ((1.0, 2.0), (1, 2), "1, 2"),
        ((3.0,), (), "3"),
        ((), (0,), ""),
        ('["a"]', (5,), '["a"]'),
        ('["a"', (500,), '["a", …'),
    ],
)
def test_a_readable_message_shows_its_first_numbers_and_says_if_there_are_more(head, shape, text):
    assert str(Peek(True, head, shape)) == text


def test_messages_and_events_are_frozen():
    peek = Peek(True, (1.0,), (1,))
    message = Message(0, 1, "A", "server", "update", 8, 8, False, peek, "digest", "previous")
    for record, field in (
        (message, "sender"),
        (peek, "head"),
        (PrivacyEvent(1, "a round's update", "training", "row", "gaussian", 1.0), "amount"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(record, field, None)


def test_the_text_of_a_message_never_shows_more_than_its_head():
    message = Message(0, 1, "A", "server", "list", 8, 8, False, Peek(True, "head", (99,)), "d", "p", payload="secret")
    assert "secret" not in repr(message)
    assert "head" in repr(message)


def test_a_schema_tells_numbers_from_categories():
    age, sex = Column("age", "numeric", "float64"), Column("sex", "category", "object", categories=("f", "m"))
    schema = Schema((age, sex), Column("ill", "category", "bool"))
    assert schema.numeric == (age,)
    assert schema.categorical == (sex,)
    assert repr(schema) == "Schema(1 numeric and 1 categorical columns, target 'ill' (category))"
