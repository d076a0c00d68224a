"""Every byte that crosses for questions across owners, and all that is written down: no row, no id, no secret key."""

import numpy as np
import pytest

from fedlab_nb.crypto.keys import KeyHolder
from fedlab_nb.crypto.seal import KEY_HOLDER, SERVER
from fedlab_nb.flower.codec import Allowed, encode
from fedlab_nb.flower.columns.talk import read_delivery, read_return
from tests.flower.columns.surveyed import Surveyed, notebook
from tests.flower.columns.test_secrets import of_numbers, words_of
from tests.flower.real.memory import Needles
from tests.vertical.common import owners, tables, with_gaps


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A survey of all kinds across owners, and each made key of a key holder."""
    patch, keys, begin = pytest.MonkeyPatch(), [], KeyHolder._begin

    def noted(holder, scheme, session, seed, context, *more):
        begin(holder, scheme, session, seed, context, *more)
        keys.append((seed, context.serialize(save_secret_key=True)))

    parts = owners(with_gaps(300))
    _, _, agreed = notebook(parts, "across")
    patch.setattr(KeyHolder, "_begin", noted)
    apart = Surveyed(parts, "across", agreed, tmp_path_factory.mktemp("app"))
    apart.played()
    patch.undo()
    apart.keys, apart.parts = keys, parts
    apart.everything = b"".join(data for _, data in apart.crossed)
    apart.everything += b"".join(encode(said, Allowed()) for said in apart.told)
    return apart


def test_no_number_of_a_row_is_in_what_crosses_or_is_told(seen):
    found = {f"{n}: {c}": words_of(t[c]) for n, t in tables(seen.parts).items() for c in t if t[c].dtype.kind == "f"}
    looked_for = {name: values for name, values in found.items() if len(values) > 50}
    assert {"bank: income", "shop: spent"} <= looked_for.keys()
    assert {n: k for n, v in looked_for.items() if (k := of_numbers(v).found_in(seen.everything, step=1))} == {}


def test_the_search_finds_what_is_there(seen):
    told = words_of(np.concatenate([m.payload for m in seen.ledger.messages if m.kind == "own correlation"]))
    assert of_numbers(told).found_in(seen.everything, step=1) >= len(told) > 3


def test_no_id_and_no_column_of_labels_is_in_what_crosses(seen):
    names = [i.encode() for t in tables(seen.parts).values() for i in t["customer"]]
    assert len(names) > 200
    assert Needles([], names).found_in(seen.everything, step=1) == 0
    assert Needles([], names).found_in(b" ".join(names), step=1) == len(names)


def test_no_secret_key_is_in_what_crosses(seen):
    assert len(seen.keys) == 1
    for seed, whole in seen.keys:
        assert Needles([], [seed, whole[-64:], whole[-4096:-4032]]).found_in(seen.everything, step=1) == 0


def test_what_parties_send_each_other_is_sealed_and_what_the_server_gets_it_reads(seen):
    theirs = [m for m in seen.ledger.messages if SERVER not in (m.sender, m.receiver)]
    kinds = {m.kind for m in theirs}
    assert {"number of cells", "number of rows in common", "scale", "pair count", "sum of pair counts"} <= kinds
    assert all(m.payload is None and m.peek.head == "" for m in theirs)
    parcels = [
        parcel
        for _, data in seen.crossed
        for parcel in (read_delivery(data) if data in seen.asked else read_return(data)).parcels
    ]
    sealed = [p for p in parcels if SERVER not in (p.facts.sender, p.facts.to)]
    assert len(sealed) > 20
    assert not [p.facts.kind for p in sealed if p.body[:8] == b"FEDLAB1\n"]


def test_the_server_gets_no_sum_that_the_key_holder_opens_but_what_it_shows(seen):
    told = [m for m in seen.ledger.messages if m.receiver == SERVER and m.sender == KEY_HOLDER]
    assert {m.kind for m in told} == {
        "identity",
        "sum of correlations, opened",
        "sum of pair counts, opened",
        "sum of evidence counts, opened",
    }
    for message in told:
        if message.kind in ("sum of pair counts, opened", "sum of evidence counts, opened"):
            counts = message.payload.ravel()
            assert not ((counts > 0.5) & (counts < 4.5)).any()
        if message.kind == "sum of correlations, opened":
            shown = message.payload[message.payload != -(2.0**60)]
            assert (np.abs(shown) <= 1.0).all()
