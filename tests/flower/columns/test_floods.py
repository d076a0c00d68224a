"""A party that sends more than any protocol: it is named, and nobody is sent any of it."""

from dataclasses import replace

import pytest

from fedlab_nb.crypto.seal import SERVER
from fedlab_nb.flower.columns import hub
from fedlab_nb.flower.columns.hub import MOST_MESSAGES
from tests.flower.columns.attacked import FIRST, SECOND, WITH_HOLDER, Attacked, refused

MANY = MOST_MESSAGES + 1
# What honest runs here stay far below.
FEW = 50


def copies(back, to, amount):
    """The last parcel to a receiver, as often again, each with its place in the order; none if there is no such."""
    last = next((parcel for parcel in reversed(back.parcels) if parcel.facts.to == to), None)
    more = range(1, amount + 1) if last is not None else ()
    return tuple(replace(last, facts=replace(last.facts, index=last.facts.index + i)) for i in more)


def flood(back):
    """As many messages to another party as nobody sends, each in its place."""
    return replace(back, parcels=(*back.parcels, *copies(back, FIRST, MANY - len(back.parcels))))


def signatures(back):
    return replace(back, vouched={f"{i:064x}": (SECOND, b"s") for i in range(MANY)})


@pytest.mark.parametrize("lie", [flood, signatures])
def test_who_sends_more_than_any_protocol_is_named_and_nothing_of_it_is_passed_on(lie):
    apart, delivered = Attacked(), []
    apart.to_server = lambda name, back: lie(back) if name == SECOND else back
    apart.to_site = lambda _, said: delivered.append(len(said.parcels) + len(said.vouched)) or said
    error, federation = refused(apart, f"'owner 1' sent {MANY:,} messages or signatures")
    assert error.party == SECOND
    assert max(delivered) < FEW
    assert federation is None or len(federation.ledger.messages) < FEW


def of_second(seen, name, back):
    """Collects what the second owner sends to the server."""
    seen.extend(parcel for parcel in back.parcels if (name, parcel.facts.to) == (SECOND, SERVER))
    return back


def test_what_waits_for_the_server_is_counted_over_all_trips(monkeypatch):
    honest, whole, seen, each = Attacked(), [], [], FEW // 2
    honest.to_server = lambda name, back: of_second(whole, name, back)
    assert honest.outcome()[0] is None

    def more(name, back):
        of_second(seen, name, back)
        if name != SECOND or len(seen) < len(whole):
            return back
        added = copies(replace(back, parcels=tuple(seen[-1:])), SERVER, each)
        seen.extend(added)
        return replace(back, parcels=(*back.parcels, *added))

    monkeypatch.setattr(hub, "MOST_MESSAGES", FEW)
    apart = Attacked()
    apart.to_server = more
    error, _ = refused(apart, f"'owner 1' sent {FEW + 1} messages or signatures")
    assert error.party == SECOND
    assert len(seen) == len(whole) + 3 * each


@pytest.mark.parametrize("strategy", [{}, {"strategy": WITH_HOLDER}])
def test_an_honest_run_stays_far_below(strategy):
    apart, sent = Attacked(**strategy), []
    apart.to_server = lambda _, back: sent.append(max(len(back.parcels), len(back.vouched))) or back
    assert apart.outcome()[0] is None
    assert 1 < max(sent) < FEW < MOST_MESSAGES // 100
