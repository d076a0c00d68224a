"""A round's score travels with the next round's sums: equal records in half the trips, whatever goes wrong."""

import itertools
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError, RoundError, SettingError
from fedlab_nb.flower.grid.playing import way_to_play
from fedlab_nb.flower.sums.riding import Riders
from fedlab_nb.ledger import Ledger
from fedlab_nb.records import Scores
from tests.flower.columns.apart import ColumnsApart
from tests.flower.common import Apart, House, owners, played
from tests.vertical.common import owners as columns
from tests.vertical.common import people

STRATEGY = fl.FedAvg(fl.models.logistic(), executor="sequential")
SCHEMES = {
    "clear": (None, 1),
    "CKKS": (fl.CKKS(), 3),
    "owners' key": (fl.CKKS(keys="owners"), 3),
    "threshold": (fl.CKKS(keys="threshold"), 6),
    "masks": (fl.SecAgg(), 5),
}


class Lossy(Apart):
    """From trip ``gone`` on one owner is silent; ``trips`` counts."""

    gone, trips = float("inf"), 0

    def __call__(self, requests):
        self.trips += 1
        if self.trips >= self.gone:
            self.lost.add("Owner 2")
        return super().__call__(requests)


class Server:
    """The strategy as a server's process has it, which does some things differently there."""

    def __getattr__(self, name):
        return getattr(STRATEGY, name)


def riders_left():
    return [thread for thread in threading.enumerate() if thread.name == "rider"]


def one_by_one(there, num_rounds):
    """Rounds that are scored before the next one begins, as where a notebook may hold them."""
    return list(fl.rounds(there, STRATEGY, num_rounds=num_rounds))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_round_takes_as_many_trips_as_its_longest_sum_and_is_told_with_the_next(scheme):
    encrypt, trips = SCHEMES[scheme]
    there = Apart(owners(), House(encrypt=encrypt)).federation(STRATEGY)
    play, ledger, _ = way_to_play(there, STRATEGY)
    after = [(there.sites.trips, len(ledger)) for _ in play(there, STRATEGY, num_rounds=4, seed=0)]
    assert [late - early for (early, _), (late, _) in itertools.pairwise(after[:3])] == [trips] * 2
    # A round is told with all that crossed for it, and nothing of the next.
    assert [ledger.messages[told - 1].round for _, told in after] == [1, 2, 3, 4]
    assert len(ledger) == len(there.ledger)
    assert riders_left() == []


def test_where_nothing_is_held_out_no_round_waits_for_a_score():
    rows = fl.data.breast_cancer().head(90)
    those = [fl.DataOwner(f"Owner {i}", rows.iloc[i::3], target="diagnosis", held_out=0.0) for i in range(3)]
    there = Apart(those).federation(STRATEGY)
    play, _, _ = way_to_play(there, STRATEGY)
    seen = [
        (record.number, len({m.round for m in there.ledger.messages}))
        for record in play(there, STRATEGY, num_rounds=3, seed=0)
    ]
    begun = seen[0][1] - 1  # what crossed before the first round has a number of its own, or not
    assert seen == [(1, 1 + begun), (2, 2 + begun), (3, 3 + begun)]


def test_where_owners_may_be_missing_each_round_is_scored_first():
    there = Apart(owners(), House(encrypt=fl.CKKS(), min_owners=2)).federation(STRATEGY)
    play, ledger, _ = way_to_play(there, STRATEGY)
    assert ledger is there.ledger
    assert [record.failed for record in play(there, STRATEGY, num_rounds=2, seed=0)] == [None, None]


@pytest.mark.parametrize("gone", range(13, 23))
def test_an_owner_that_is_lost_fails_the_round_that_it_would_have_failed_and_ends_the_run(gone):
    """Whatever the trip is: rounds before are as they were, one says who was lost, and none comes after it."""
    apart = Lossy(owners(), House(encrypt=fl.CKKS()))
    apart.gone = gone
    *before, last = played(apart.federation(STRATEGY), STRATEGY, 4)
    known = one_by_one(fl.Federation(owners(), encrypt=fl.CKKS()), 4)
    assert last.failed is not None
    assert last.failed.party == "Owner 2"
    assert (last.metrics, last.owner_metrics) == ({}, {})
    assert [r.metrics for r in before] == [r.metrics for r in known[: len(before)]]
    if before:
        assert np.array_equal(last.state.weights["server"], known[len(before) - 1].state.weights["server"])
    assert riders_left() == []


def test_a_budget_that_is_used_up_ends_the_run_after_the_scored_rounds():
    class Spent(Server):
        def step(self, state, federation, number, cohort, *, last):
            if number == 3:
                raise BudgetExceededError("Nothing is left.", "It is spent.", "Ask for fewer rounds.")
            return STRATEGY.step(state, federation, number, cohort, last=last)

    first, second, third = played(Apart(owners()).federation(STRATEGY), Spent(), 4)
    assert first.failed is second.failed is None
    assert second.metrics
    assert isinstance(third.failed.error, BudgetExceededError)
    assert np.array_equal(third.state.weights["server"], second.state.weights["server"])


@pytest.mark.parametrize("at", [1, 2, 3])
def test_scores_that_cannot_be_shown_fail_their_own_round(at):
    class Odd(Server):
        def evaluate(self, state, federation, number, *, last):
            found = STRATEGY.evaluate(state, federation, number, last=last)
            return Scores({"accuracy": "high"}) if number == at else found

    *before, last = played(Apart(owners()).federation(STRATEGY), Odd(), 3)
    assert (len(before), last.number) == (at - 1, at)
    assert isinstance(last.failed.error, SettingError)
    assert all(record.failed is None and record.metrics for record in before)


def test_who_stops_listening_leaves_no_rider_behind():
    there = Apart(owners(), House(encrypt=fl.CKKS())).federation(STRATEGY)
    rounds = way_to_play(there, STRATEGY)[0](there, STRATEGY, num_rounds=5, seed=0)
    next(rounds)
    assert len(riders_left()) == 1
    rounds.close()
    assert riders_left() == []


@pytest.mark.parametrize(
    "strategy",
    [
        fl.vertical.LogisticRegression("bank"),
        fl.vertical.SecureBoost("bank", depth=2),
        fl.vertical.SplitNN("bank"),
        fl.vertical.Transfer("bank"),
    ],
    ids=["logistic", "SecureBoost", "SplitNN", "Transfer"],
)
def test_owners_of_different_columns_begin_a_round_while_the_last_is_scored(strategy):
    told, trips = [], []
    for ahead in (False, True):
        apart = ColumnsApart(columns(people(160)), strategy, num_rounds=3)
        there = apart.federation()
        play, ledger, _ = way_to_play(there, strategy) if ahead else (fl.rounds, there.ledger, None)
        try:
            records = list(play(there, strategy, num_rounds=3, seed=0))
            there.sites.flush()
        finally:
            for site in apart.sites.values():
                site.close()
        told.append([(r.metrics, {kind: t.messages for kind, t in r.traffic.items()}) for r in records])
        trips.append(there.sites.trips)
        assert ledger.verify()
    assert told[0] == told[1]
    assert trips[1] <= trips[0] - 4  # two of each round but the last


# Riders by themselves.


@dataclass
class Want:
    party_: str
    value: object


class Trips:
    """Brings what is wanted; ``lost`` parties send nothing."""

    def __init__(self):
        self.made, self.lost = [], set()

    def __call__(self, wants):
        self.made.append([want.value for want in wants])
        errors = {name: RoundError(name, "trip", "Lost.", "It is.", "Wait.") for name in self.lost}
        return [None if want.party_ in self.lost else want.value for want in wants], errors


def test_what_riders_want_comes_along_and_only_one_goes_on_at_a_time():
    trips, said = Trips(), []
    riders = Riders(trips)

    def work(name):
        for step in range(2):
            said.append((name, step))
            (value,), _ = riders.bring([Want("A", (name, step))])
            said.append(value)
        return name

    one, other = (riders.begin(lambda name=name: work(name)) for name in ("one", "other"))
    assert trips.made == []
    assert riders.bring([]) == ([], {})  # nothing is wanted here, so no trip is made
    assert trips.made == []
    assert riders.bring([Want("B", "mine")]) == (["mine"], {})
    assert trips.made == [["mine", ("one", 0), ("other", 0)]]
    assert one.result() == "one"
    assert other.ended
    assert trips.made[1:] == [[("one", 1), ("other", 1)]]
    assert said == [
        ("one", 0),
        ("other", 0),
        ("one", 0),
        ("one", 1),
        ("other", 0),
        ("other", 1),
        ("one", 1),
        ("other", 1),
    ]
    assert other.result() == "other"
    assert len(trips.made) == 2


def test_who_is_lost_is_told_to_those_who_wanted_something_of_it():
    trips = Trips()
    riders = Riders(trips)
    rider = riders.begin(lambda: riders.bring([Want("A", 1)]))
    trips.lost = {"A"}
    assert riders.bring([Want("B", 2)]) == ([2], {})
    values, errors = rider.result()
    assert values == [None]
    assert set(errors) == {"A"}


def test_seconds_are_counted_once():
    ledger, trips = Ledger(), Trips()
    riders = Riders(trips)
    riders.elsewhere = ledger.elsewhere

    def work():
        with ledger.stage("riding"):
            riders.bring([Want("A", 1)])
            time.sleep(0.02)

    began = time.perf_counter()
    with ledger.stage("main"):
        rider = riders.begin(work)
        time.sleep(0.02)
        riders.bring([Want("A", 2)])
        rider.result()
    passed = time.perf_counter() - began
    assert ledger.seconds["riding"] >= 0.02
    assert ledger.seconds["main"] >= 0.02
    assert sum(ledger.seconds.values()) <= passed
