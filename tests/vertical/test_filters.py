"""Keyed Bloom filters: the key decides every bit, typos change few, and the best pairs are the true best."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedlab_nb.crypto.linkage import BITS, FILTER_BYTES, MARGIN, Partner, best_pairs, fields, filters_in
from fedlab_nb.crypto.linkage.filters import made
from fedlab_nb.errors import EncryptionError

TEXT = st.text("abcdefghij0123456789", min_size=1, max_size=20)


def bits(key, *rows):
    return np.unpackbits(filters_in(made(key, [fields(row) for row in rows]).payload, sender="x"), axis=1).astype(int)


def dice(one, two):
    return 2 * (one & two).sum() / (one.sum() + two.sum())


def partners():
    a, b = Partner("A"), Partner("B")
    a.meet("B", b.public)
    b.meet("A", a.public)
    return a, b


@given(TEXT, TEXT)
@settings(max_examples=30, deadline=None)
def test_a_filter_is_the_union_of_the_bits_of_its_pairs_of_letters(first, second):
    """The oracle: fifteen bits or a few fewer for each different pair, those of one field never those of another."""
    whole = bits(b"key", [first, second])[0] | bits(b"key", ["", ""])[0]
    parts = bits(b"key", [first, ""])[0] | bits(b"key", ["", second])[0]
    assert np.array_equal(whole, parts)
    padded = f" {first} "
    pairs = {padded[at : at + 2] for at in range(len(padded) - 1)}
    alone = bits(b"key", [first])[0].sum()
    assert alone <= 15 * len(pairs)
    assert alone >= BITS * (1 - (1 - 1 / BITS) ** (15 * len(pairs))) - 30


def test_a_typo_changes_few_bits_and_another_key_or_field_all():
    right, wrong, other = bits(b"key", ["annamiller", "1970"], ["anamiller", "1970"], ["bobsmith", "1955"])
    assert dice(right, wrong) > 0.85
    assert dice(right, other) < 0.5
    assert dice(right, bits(b"another", ["annamiller", "1970"])[0]) < 0.5
    assert dice(right, bits(b"key", ["1970", "annamiller"])[0]) < 0.5


def test_bits_are_spread_evenly():
    rng = np.random.default_rng(0)
    rows = [["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 12))] for _ in range(1000)]
    share = bits(b"key", *rows).mean(axis=0)
    assert share.min() > 0.03
    assert share.max() < 0.4


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_best_pairs_are_those_of_a_search_through_all_of_them(seed, first, second):
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2, (4, BITS))  # few patterns, so that there are equal filters and ties
    lists = []
    for count in (first, second):
        flips = rng.random((count, BITS)) < rng.choice([0, 0.02, 0.1], (count, 1))
        lists.append(base[rng.integers(0, 4, count)] ^ flips)
    table = np.array([[dice(one, two) for two in lists[1]] for one in lists[0]])
    expected, near, missed = [], 0, 0
    for i, row in enumerate(table):
        j = int(row.argmax())
        if (row == row[j]).sum() == 1 and (table[:, j] == row[j]).sum() == 1 and table[:, j].max() == row[j]:
            expected += [(i, j)] if row[j] >= 0.9 else []
            near += 0.9 <= row[j] < 0.9 + MARGIN
            missed += 0.9 - MARGIN <= row[j] < 0.9
    tied = sum((row.max() >= 0.9) and (row == row.max()).sum() > 1 for side in (table, table.T) for row in side)
    found = best_pairs(*(np.packbits(each, axis=1) for each in lists), 0.9)
    assert [tuple(each) for each in found.places.tolist()] == expected
    assert (found.near, found.missed, found.tied) == (near, missed, tied)


def test_best_pairs_do_not_depend_on_how_many_are_compared_at_once(monkeypatch):
    rng = np.random.default_rng(1)
    first = rng.integers(0, 256, (90, FILTER_BYTES)).astype(np.uint8)
    second = np.concatenate([first[:50], first[40:45], rng.integers(0, 256, (30, FILTER_BYTES)).astype(np.uint8)])
    whole = best_pairs(first, second, 0.85)
    monkeypatch.setattr("fedlab_nb.crypto.linkage.compare._ROWS_AT_ONCE", 7)
    small = best_pairs(first, second, 0.85)
    assert np.array_equal(whole.places, small.places)
    assert (whole.near, whole.missed, whole.tied) == (small.near, small.missed, small.tied)
    assert len(whole.places) == 45
    assert whole.tied == 5, "five of the first list are in the second one twice"


def test_an_empty_list_links_nothing():
    none, some = np.empty((0, FILTER_BYTES), dtype=np.uint8), np.ones((3, FILTER_BYTES), dtype=np.uint8)
    assert [len(best_pairs(*each, 0.85).places) for each in ((none, some), (some, none), (none, none))] == [0, 0, 0]


def test_two_partners_make_equal_filters_and_a_third_one_others():
    rows = [fields(["annamiller", "1970"])]
    a, b = partners()
    halves = a.half(b"of A"), b.half(b"of B")
    a.agree(halves[1])
    b.agree(halves[0])
    assert a.filters(rows) == b.filters(rows)
    c, d = partners()
    halves = c.half(b"of A"), d.half(b"of another")
    c.agree(halves[1])
    d.agree(halves[0])
    assert c.filters(rows) == d.filters(rows) != a.filters(rows)


@pytest.mark.parametrize("change", [lambda s: s[:-1] + bytes([s[-1] ^ 1]), lambda s: s[:10], lambda s: b""])
def test_what_was_changed_on_the_way_is_refused(change):
    a, b = partners()
    with pytest.raises(EncryptionError, match="came to 'B' as sealed by 'A'"):
        b.agree(change(a.half(b"of A")))


def test_what_is_sealed_opens_for_the_other_one_alone_and_for_its_purpose():
    a, b = partners()
    sealed = a.seal(b"rows", "order")
    assert b.open(sealed, "order") == b"rows"
    assert b"rows" not in sealed
    stranger = Partner("B")
    stranger.meet("A", a.public)
    for who, purpose in ((a, "order"), (b, "half"), (stranger, "order")):
        with pytest.raises(EncryptionError, match="was not sealed by it"):
            who.open(sealed, purpose)


def test_filters_without_a_key_or_in_pieces_are_refused_and_keys_are_not_copied():
    with pytest.raises(EncryptionError, match="before it agreed on a key"):
        partners()[0].filters([b"x"])
    with pytest.raises(EncryptionError, match="129 bytes came from 'bank'"):
        filters_in(bytes(129), sender="bank")
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(EncryptionError, match="cannot be copied"):
            copied(partners()[0])
    assert repr(partners()[0]) == "Partner('A', secret)"
    assert repr(made(b"key", [b"x", b"y"])) == "Filters(2 rows of 1,024 bits)"
