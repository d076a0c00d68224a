"""What can go wrong on the way or at a party of a vertical run: the round says who, and nothing is done twice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.errors import RoundError
from fedlab_nb.flower.columns.site import ColumnsSite
from fedlab_nb.flower.columns.talk import Delivery, read_return, written
from tests.flower.columns.apart import together
from tests.flower.columns.attacked import FIRST, SECOND, STRATEGY, WITH_HOLDER, Attacked, pair
from tests.flower.columns.test_linear import owners

TRIPS = range(1, 18)


def lost_at(apart, name, serial):
    """From this trip on the party is not reached."""
    apart.to_site = lambda who, said: None if who == name and said.serial >= serial else said


@pytest.mark.parametrize("serial", TRIPS)
@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_whoever_is_lost_on_whichever_trip_is_named(name, serial):
    apart = Attacked()
    lost_at(apart, name, serial)
    error, _, found = apart.outcome()
    if serial == 17 and name == SECOND:  # it makes a trip less
        assert error is None
        return
    assert isinstance(error, RoundError)
    assert (error.party, error.stage) == (name, "waiting for an answer")
    assert "sent nothing back in time" in str(error)
    if found is not None:
        rounds = 1 if serial < 13 else 2
        assert [r.failed is None for r in found] == [True] * (rounds - 1) + [False]


@pytest.mark.parametrize("serial", [1, 4, 8, 12])
def test_a_key_holder_that_is_lost_is_named(serial):
    apart = Attacked(WITH_HOLDER)
    lost_at(apart, KEY_HOLDER, serial)
    error, _, _ = apart.outcome()
    assert error.party == KEY_HOLDER


@pytest.mark.parametrize("serial", [2, 4, 10])
def test_a_reply_that_is_lost_names_its_party_and_what_it_did_is_debited(serial):
    apart, before = Attacked(), Attacked().spent()
    apart.to_server = lambda name, back: None if (name, back.serial) == (SECOND, serial) else back
    assert apart.outcome()[0].party == SECOND
    assert apart.spent()[SECOND] > before[SECOND]


def metrics(found):
    return [record.metrics for record in found]


def twice_delivered(apart, same):
    """Every delivery comes twice, and the second reply is looked at."""

    def twice(name, said):
        data = written(said)
        first = apart.sites[name].answer(data)
        same.append(first == apart.sites[name].answer(data))
        return said  # and so a third time

    apart.to_site = twice


def test_a_delivery_that_comes_again_gets_the_same_reply_and_nothing_is_done_or_debited_twice():
    same, known, again = [], Attacked(), Attacked()
    before = known.spent()
    expected = known.outcome()
    once = {name: times - before[name] for name, times in known.spent().items()}
    twice_delivered(again, same)
    before = again.spent()
    error, federation, found = again.outcome()
    assert error is None
    assert len(same) > 20
    assert all(same)
    assert metrics(found) == metrics(expected[2])
    assert len(federation.ledger.messages) == len(expected[1].ledger.messages)
    assert {name: times - before[name] for name, times in again.spent().items()} == once
    assert min(once.values()) > 0


def test_deliveries_that_come_late_do_nothing():
    """An earlier delivery once more, when later ones have long been answered."""
    apart, seen, late = Attacked(), {}, []

    def old(name, said):
        kept = seen.setdefault(name, [])
        if len(kept) > 2:
            late.append(read_return(apart.sites[name].answer(kept[-2])))
        kept.append(written(said))
        return said

    apart.to_site = old
    error, _, found = apart.outcome()
    assert error is None
    assert len(late) > 10
    assert all((answer.parcels, dict(answer.vouched), answer.error) == ((), {}, None) for answer in late)
    assert metrics(found) == metrics(Attacked().outcome()[2])


@pytest.mark.parametrize("serial", [2, 3, 6, 13])
def test_a_party_that_began_anew_in_the_middle_of_a_run_is_named_and_does_nothing(serial):
    apart, new = Attacked(), []

    def restarted(name, said):
        if (name, said.serial) == (SECOND, serial):
            old = apart.sites[SECOND]
            old.close()
            apart.sites[SECOND] = ColumnsSite(SECOND, apart.agreement, apart.trusts[SECOND], pair()[1])
            new.append(apart.spent()[SECOND])
        return said

    apart.to_site = restarted
    error, _, _ = apart.outcome()
    assert error.party == SECOND
    assert "has started again" in str(error)
    assert apart.spent()[SECOND] == new[0]
    assert apart.sites[SECOND]._wire is None


def test_the_same_parties_begin_the_same_run_anew_after_one_was_lost():
    lost, again = Attacked(), Attacked()
    lost_at(lost, SECOND, 8)
    assert lost.outcome()[0] is not None
    for name, trust in lost.trusts.items():
        again.sites[name]._trust, again.trusts[name] = trust, trust
    error, _, found = again.outcome()
    assert error is None
    assert metrics(found) == metrics(together(pair(), STRATEGY)[1])


def quote(frame):
    """Fails, with a row in its words."""
    raise ValueError(f"cannot read {frame.iloc[0, 0]!r}")


def breaking(monkeypatch, where):
    """In the place of a part of the strategy something that fails and quotes a row."""
    from fedlab_nb.vertical.descent import gradients
    from fedlab_nb.vertical.shared import strategy

    if where == "reading of the columns":
        monkeypatch.setattr(strategy, "standard_reading", lambda frame, *_: quote(frame))
    elif where == "residual pieces":
        monkeypatch.setattr(gradients._Trip, "_given", lambda self, mine, w: quote(mine.frame))
    else:
        monkeypatch.setattr(strategy, "metrics", lambda scores, y, setup: quote(pd.DataFrame(scores)))


@pytest.mark.parametrize("where", ["reading of the columns", "residual pieces", "score"])
def test_the_text_of_an_error_beside_rows_stays_there(where, monkeypatch):
    breaking(monkeypatch, where)
    apart = Attacked()
    error, _, _ = apart.outcome()
    assert isinstance(error, RoundError)
    assert error.party in (FIRST, SECOND)
    assert error.stage == where
    assert "its text is withheld" in str(error)
    assert not any(b"cannot read" in data for _, data in apart.crossed)


def test_an_error_outside_of_a_step_is_withheld_as_well(monkeypatch):
    from fedlab_nb.flower.columns.wire import Wire

    def token(self):
        raise KeyError("4711 of the rows")

    monkeypatch.setattr(Wire, "token", token)
    apart = Attacked()
    error, _, _ = apart.outcome()
    assert "failed with KeyError; its text is withheld" in str(error)
    assert not any(b"4711" in data for _, data in apart.crossed)


def test_a_run_that_a_party_refuses_at_once_ends_with_its_words():
    """The owner of the labels has none: every party finds out by itself before anything is sent."""
    apart = Attacked(replace(STRATEGY, labels_at=SECOND), parts=owners(2, 100))
    error, federation, _ = apart.outcome()
    assert "has no target" in str(error)
    assert federation is None


def test_a_site_whose_protocol_has_ended_answers_at_once():
    """Whatever comes after its end, nobody waits for it."""
    apart = Attacked()
    sites, held = apart.sites, {}
    apart.to_server = lambda name, back: held.update({name: back.serial}) or back
    assert apart.outcome()[0] is None
    for name, serial in held.items():
        answer = read_return(sites[name].answer(written(Delivery(serial + 1, sites[name].process, allowed=7))))
        assert answer.parcels == ()


def test_lost_updates_leave_parts_as_they_were(tmp_path):
    """An owner keeps its part after a round that went well, and not after one that did not."""
    from fedlab_nb.flower.columns.steps import part_keeper
    from fedlab_nb.vertical.model.parts import load_part

    path = tmp_path / "part.safetensors"
    apart = Attacked(kept={SECOND: part_keeper(STRATEGY, SECOND, path)})
    lost_at(apart, FIRST, 14)
    _, _, found = apart.outcome()
    assert [record.failed is None for record in found] == [True, False]
    assert path.stat().st_mode & 0o777 == 0o600, "nobody else reads it"
    assert [*tmp_path.iterdir()] == [path], "nothing that is half written is left"
    expected = together(pair(), STRATEGY, num_rounds=1)[1][0].state.weights[SECOND]
    assert np.array_equal(load_part(path).weights, expected)
