"""Parties may begin a round while the one before is scored: each is told when it is over, with its own failure."""

import pytest

import fedlab_nb as fl
from fedlab_nb.flower.columns.site import OneParty
from fedlab_nb.flower.grid.playing import way_to_play
from tests.flower.columns.apart import ColumnsApart
from tests.vertical.common import BANK, SHOP, owners, people

LOGISTIC = fl.vertical.LogisticRegression("bank")
STRATEGIES = [LOGISTIC, fl.vertical.SecureBoost("bank", depth=2), fl.vertical.SplitNN("bank")]
NAMES = ["logistic", "SecureBoost", "SplitNN"]


def played(those, strategy, num_rounds, *, ahead=True):
    """The server's federation, the records that are told, and of each which rounds every owner had kept by then."""
    over = {owner.name: [] for owner in those}
    kept = {name: (lambda record, name=name: over[name].append(record.number)) for name in over}
    apart, records, then = ColumnsApart(those, strategy, num_rounds=num_rounds, kept=kept), [], []
    there = apart.federation()
    way = way_to_play(there, strategy)
    try:
        play = way.rounds if ahead else fl.rounds
        for record in play(there, strategy, num_rounds=num_rounds, seed=0):
            records.append(record)
            then.append({name: [*numbers] for name, numbers in over.items()})
    finally:
        for site in apart.sites.values():
            site.close()
    return there, way, records, then


def not_held_out():
    rows = people(120)
    bank = fl.DataOwner("bank", rows[["customer", *BANK]].iloc[:100], target="default", id="customer", held_out=0.0)
    return [bank, fl.DataOwner("shop", rows[["customer", *SHOP]].iloc[10:], id="customer", held_out=0.0)]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=NAMES)
def test_a_round_without_a_score_is_told_when_all_parties_have_played_it(strategy):
    _, _, records, then = played(not_held_out(), strategy, 3)
    _, _, known, _ = played(not_held_out(), strategy, 3, ahead=False)
    assert [record.metrics for record in records] == [{}, {}, {}]
    assert then == [{"bank": [*range(1, n + 1)], "shop": [*range(1, n + 1)]} for n in (1, 2, 3)]
    assert [{k: t.messages for k, t in r.traffic.items()} for r in records] == [
        {k: t.messages for k, t in r.traffic.items()} for r in known
    ]


@pytest.mark.parametrize("held_out", [False, True], ids=["no score", "scores"])
@pytest.mark.parametrize("who", ["shop", "bank"])
def test_a_party_that_fails_in_the_next_round_takes_nothing_from_the_one_before(monkeypatch, who, held_out):
    charge = OneParty.charge

    def failing(self, debits):
        if any(event.round == 3 for event in debits.get(who, ()) if self._name == who):
            raise ZeroDivisionError
        charge(self, debits)

    monkeypatch.setattr(OneParty, "charge", failing)
    those = owners(people(160)) if held_out else not_held_out()
    there, way, records, then = played(those, LOGISTIC, 4)
    first, second, third = records
    assert [first.failed, second.failed, third.failed.party] == [None, None, who]
    assert bool(second.metrics) == held_out
    assert then[1] == then[2] == {"bank": [1, 2], "shop": [1, 2]}
    assert len(way.ledger) == len(there.ledger)
    assert way.ledger.verify()
