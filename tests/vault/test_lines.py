"""The lines of a journal are written piece by piece: they have to be what JSON makes of the whole."""

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from fedlab_nb.privacy import Budget, Vault
from fedlab_nb.privacy.vault.journal import event_of, read_release, release_of
from tests.vault.common import debit, release

NAMES = st.one_of(st.text(max_size=20), st.sampled_from([',"event":', '"event":{', "\\", 'a","event":{"b']))


@given(NAMES, NAMES, st.one_of(st.floats(0, 1), st.integers(0, 1)), NAMES, st.integers(0, 10**6))
def test_a_debit_is_written_as_json_and_read_again_without_its_round(owner, data, held_out, run, number):
    event = release(number=number, mechanism="none", amount=0.0)
    facts = {"owner": owner, "data": data, "held_out": held_out, "event": asdict(event)}
    for more in ({}, {"run": run}):
        body = release_of(owner, data, held_out, event_of(event), **more)
        assert body == json.dumps({**facts, **more}, separators=(",", ":"))
        assert read_release(body) == (data, held_out, event, more.get("run", ""))


def test_a_line_whose_facts_stand_in_another_order_is_read_too():
    event = release()
    body = json.dumps({"event": asdict(event), "data": "rows of A", "owner": "A", "held_out": 0.25})
    assert read_release(body) == ("rows of A", 0.25, event, "")


def test_unprotected_releases_are_written_and_counted_one_by_one_whoever_is_bound():
    vault, bare = Vault(), release(0.0, mechanism="none")
    unbound = [debit(f"rows {i}", bare, bare, owner=f"Owner {i}", budget=None) for i in range(5)]
    bound = debit("rows 0", bare, owner="Owner 0 again", budget=Budget(1.0, 1e-3))
    assert vault.charge([*unbound, bound]) == 1
    assert [e.owner for e in vault.entries()] == [o for d in unbound for o in (d.owner,) * 2] + [bound.owner]
    assert all(vault.account(f"rows {i}").releases == 2 + (i == 0) for i in range(5))
    assert not any(vault.account(f"rows {i}").guaranteed("row") for i in range(5))
    assert vault.verify()
