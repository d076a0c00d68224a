"""No message carries a private value: neither as it is, nor scaled, nor in an encoding that its receiver can read."""

import json

import numpy as np
import pytest

import fedlab_nb as fl
from tests.vertical.common import federation, owners, tables, with_gaps

MANY = 30
"""A column with so many different values has hardly one by chance in an answer."""


def readable(message):
    """The numbers in a message that its receiver can read without a key, (n,)."""
    if isinstance(message.payload, np.ndarray):
        return message.payload.astype(np.float64).ravel()
    if isinstance(message.payload, str):
        try:
            parsed = json.loads(message.payload)
        except ValueError:
            return np.zeros(0)
        return np.array([v for v in np.ravel(list(parsed.values()) if isinstance(parsed, dict) else parsed)
                         if isinstance(v, float)])  # fmt: skip
    return np.zeros(0)


def body(message):
    if isinstance(message.payload, np.ndarray):
        return message.payload.tobytes()
    if isinstance(message.payload, str | bytes):
        return message.payload.encode() if isinstance(message.payload, str) else message.payload
    return b"".join(message.payload.parts)


def leaks(messages, columns):
    """What is found of private columns {name: values} in messages: as numbers, as bytes, or as a scaled column."""
    found = []
    for message in messages:
        numbers, data = readable(message), body(message)
        for name, values in columns.items():
            present = values[~np.isnan(values)]
            scaled = (present - present.mean()) / present.std()
            unit = present / np.abs(present).max()
            for form in (present, scaled, unit):
                wanted = np.unique(form[np.abs(form - np.rint(form)) > 1e-6])
                hits = (
                    sum(np.isclose(numbers, value, rtol=1e-9, atol=0).any() for value in wanted) if numbers.size else 0
                )
                inside = sum(value.tobytes() in data for value in wanted[: 40 if numbers.size else 4])
                # Four bytes turn up in a long ciphertext or key by chance.
                if not message.encrypted and len(data) < 1 << 17:
                    inside += sum(np.float32(value).tobytes() in data for value in wanted)
                if hits > 2 or inside:
                    found.append((message.kind, name))
            if numbers.size >= MANY and numbers.size <= present.size:
                # A scaled copy has, sorted, the same shape, whatever the order of rows.
                ordered = np.sort(present)[np.linspace(0, present.size - 1, numbers.size).astype(int)]
                same = np.corrcoef(np.sort(numbers), ordered)[0, 1] if numbers.std() > 0 else 0.0
                if numbers.size == present.size and same > 1 - 1e-9:
                    found.append((message.kind, f"scaled {name}"))
    return found


def private(parts):
    """By owner its columns of numbers that hardly any two people share."""

    def telling(values):
        return values.dtype.kind == "f" and values.nunique() > MANY and bool((values.dropna() % 1).any())

    return {
        name: {column: table[column].to_numpy(dtype=float) for column in table if telling(table[column])}
        for name, table in tables(parts).items()
    }


@pytest.fixture(scope="module")
def asked():
    """A federation of three after every kind of question; each owner's private columns; what each message leaks."""
    parts = owners(with_gaps(), parties=3)
    fed = federation(parts)
    frame = fl.PrivateFrame(fed)
    frame.corr()
    frame.corr(["age", "letters"])
    frame.crosstab("sector", "region")
    frame.woe("default", "yes", bins=4)
    assert not any(message.payload is None for message in fed.ledger.messages), "all of it is kept, and scanned"
    columns = private(parts)
    whole = {f"{owner}: {name}": values for owner, mine in columns.items() for name, values in mine.items()}
    return fed, columns, {message.number: leaks([message], whole) for message in fed.ledger.messages}


def test_the_columns_that_are_looked_for_are_the_telling_ones(asked):
    assert [list(mine) for mine in asked[1].values()] == [["income"], ["spent"], ["parcels"]]


@pytest.mark.parametrize("party", ["server", "key holder", "bank", "shop", "post"])
def test_no_message_that_a_party_sees_holds_values_of_any_column(asked, party):
    fed, _, found = asked
    view = fed.seen_by(party)
    assert len(view) > 3
    assert [found[message.number] for message in view if found[message.number]] == []


def test_what_one_owner_gets_from_another_is_sealed(asked):
    fed = asked[0]
    between = [m for m in fed.ledger.messages if m.sender in fed.names and m.receiver in fed.names]
    widths = [m for m in between if m.kind == "number of cells"]  # as many as there will be ciphertexts' columns
    assert len(between) > len(widths) > 0
    assert all(message.encrypted for message in between if message not in widths)
    assert all((message.payload == message.payload.round()).all() and message.payload.max() < 20 for message in widths)
    assert all(m.encrypted for m in fed.ledger.messages if m.sender in fed.names and m.kind.startswith("sum of"))


@pytest.mark.parametrize("change", [lambda v: v, lambda v: 3.0 * v - 7.0, lambda v: (v - v.mean()) / v.std()])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_scan_finds_what_leaks(change, shuffle):
    parts = owners(parties=2)
    fed, columns = federation(parts), private(parts)
    values = change(columns["bank"]["income"])
    fed.ledger.post(0, "bank", "shop", "oops", np.random.default_rng(0).permutation(values) if shuffle else values)
    assert ("oops", "income") in leaks(fed.ledger.messages, columns["bank"]) or (
        "oops",
        "scaled income",
    ) in leaks(fed.ledger.messages, columns["bank"])
    assert leaks(fed.ledger.messages, columns["shop"]) == []
