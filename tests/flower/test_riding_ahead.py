"""While a round is scored the next one is under way: what goes wrong in it, and what it costs, is the next one's."""

import gc
from dataclasses import dataclass

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RoundError, RuleError
from fedlab_nb.flower import news
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.grid.playing import way_to_play
from fedlab_nb.flower.orders.arrived import SILENT, silent
from fedlab_nb.flower.sums.riding import Riders
from fedlab_nb.flower.sums.scoring import ScoredOnTheWay, _scored, scores_ride
from fedlab_nb.flower.watch import WatchedFederation
from tests.flower.common import Apart, House, owners, played
from tests.flower.test_riding import SCHEMES, STRATEGY, Lossy, Trips, Want
from tests.vertical.common import owners as columns
from tests.vertical.common import people


class Sick(Apart):
    """The work of one owner fails in round 3."""

    def __call__(self, requests):
        verbs = self.sites["Owner 2"]._verbs
        compute = self.sides["Owner 2"].compute

        def failing(kind, work, look, payload=None):
            if (kind, look.number) == ("update", 3):
                raise ZeroDivisionError
            return compute(kind, work, look, payload)

        verbs["compute"] = failing
        return super().__call__(requests)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_step_that_fails_in_the_next_round_takes_no_score_from_the_one_before(scheme):
    encrypt, _ = SCHEMES[scheme]
    there = Sick(owners(), House(encrypt=encrypt)).federation(STRATEGY)
    first, second, third = played(there, STRATEGY, 4)
    known = list(fl.rounds(fl.Federation(owners(), encrypt=encrypt), STRATEGY, num_rounds=2))
    assert [first.failed, second.failed] == [None, None]
    assert [(r.metrics, r.owner_metrics) for r in (first, second)] == [(r.metrics, r.owner_metrics) for r in known]
    assert (third.failed.party, third.metrics) == ("Owner 2", {})
    assert "ZeroDivisionError" in str(third.failed)
    assert len(there.told) == len(there.ledger)


@pytest.mark.parametrize("gone", [13, 15, 17])
def test_what_crossed_for_a_round_that_is_never_told_is_told_with_the_one_that_failed(gone):
    apart = Lossy(owners(), House(encrypt=fl.CKKS()))
    apart.gone = gone
    there = apart.federation(STRATEGY)
    *_, last = played(there, STRATEGY, 4)
    assert last.failed is not None
    assert len(there.told) == len(there.ledger)
    assert there.told.verify()
    beyond = [m for m in there.told.messages if m.round > last.number]
    assert [*there.told.messages[len(there.told) - len(beyond) :]] == beyond
    assert last.traffic["model"].messages == sum(
        (m.round, m.kind) == (last.number, "model") for m in there.told.messages
    )


@pytest.mark.parametrize(
    ("gone", "number", "words"),
    [
        (13, 1, "score of round 1, which is lost; the sums of round 2, with which it travelled, are lost as well."),
        (15, 2, "score of round 2, which is lost; the sums of round 3, with which it travelled, are lost as well."),
        (21, 4, "score of round 4, which is lost."),
    ],
)
def test_who_is_silent_when_a_score_travels_is_said_to_have_lost_both(gone, number, words):
    apart = Lossy(owners(), House(encrypt=fl.CKKS()))
    apart.gone = gone
    *_, last = played(apart.federation(STRATEGY), STRATEGY, 4)
    error = last.failed.error
    assert (last.number, last.failed.party, last.failed.stage) == (number, "Owner 2", SILENT)
    assert error.what == f"'Owner 2' sent nothing back in time. It was asked for its part in the {words}"
    assert f"the model is again that before round {number}" in error.why
    assert "patience" in error.do


def test_a_round_that_is_under_way_while_a_score_is_lost_alone_is_said_to_be_lost_too():
    there = Apart(owners()).federation(STRATEGY)
    shown = ScoredOnTheWay(STRATEGY)
    first, second = fl.rounds(there, STRATEGY, num_rounds=2)

    class Lost:
        def result(self):
            raise silent("Owner 2")

    shown.before[1], shown.begun[1] = first.state, Lost()
    assert "round 1, which is lost; round 2, with which it travelled, is lost as well." in str(
        _scored(first, shown, second).failed
    )


def test_silent_parties_are_not_waited_for_once_more():
    class Silent(Trips):
        def __call__(self, wants):
            self.made.append([want.value for want in wants])
            return [None for _ in wants], {"A": RoundError("A", SILENT, "Silent.", "It is.", "Wait.")}

    trips = Silent()
    riders = Riders(trips)
    rider = riders.begin(lambda: riders.bring([Want("A", 1)]))
    riders.bring([Want("A", 2)])
    assert set(rider.result()[1]) == {"A"}
    assert trips.made == [[2, 1]]


@dataclass
class Both:
    """Brings what is there; a party tells of one error what it has not."""

    there: set

    def __call__(self, wants):
        bad = {want.party_ for want in wants if want.value not in self.there}
        errors = {name: RoundError(name, "step", "Failed.", "It did.", "Wait.") for name in bad}
        return [None if want.party_ in bad else want.value for want in wants], errors


def test_riders_get_what_is_there_although_another_step_failed_at_the_same_party():
    riders = Riders(Both({"a", "b"}))
    well = riders.begin(lambda: riders.bring([Want("A", "a"), Want("B", "b")]))
    ill = riders.begin(lambda: riders.bring([Want("B", "b"), Want("A", "missing")]))
    values, errors = riders.bring([Want("A", "gone")])
    assert (values, set(errors)) == ([None], {"A"})
    assert well.result() == (["a", "b"], {})
    values, errors = ill.result()
    assert (values, set(errors)) == (["b", None], {"A"})


@pytest.mark.parametrize("scheme", SCHEMES)
def test_owners_keep_nothing_of_the_rounds_before(scheme):
    apart = Apart(owners(), House(encrypt=SCHEMES[scheme][0]))
    there = apart.federation(STRATEGY)
    kept = []
    for _ in way_to_play(there, STRATEGY).rounds(there, STRATEGY, num_rounds=4, seed=0):
        gc.collect()
        kept.append({name: len(site._kept) for name, site in apart.sites.items()})
    assert kept[0] == kept[1] == kept[2]


def test_all_seconds_are_of_some_round():
    there = Apart(owners(), House(encrypt=fl.CKKS())).federation(STRATEGY)
    before = sum(there.ledger.seconds.values())
    records = played(there, STRATEGY, 3)
    told = sum(sum(record.seconds.values()) for record in records)
    assert told == pytest.approx(sum(there.ledger.seconds.values()) - before)


def test_scores_of_another_kind_are_known_with_what_they_cost_before_the_next_round():
    class Own(fl.FedAvg):
        def evaluate(self, state, federation, number, *, last):
            return super().evaluate(state, federation, number, last=last)

    private = House(protect=fl.RowLevelDP(row_rate=0.5), budget=fl.Budget(4.0, 1e-4))
    assert scores_ride(private, STRATEGY, 3)
    assert not scores_ride(private, Own(fl.models.logistic()), 3)
    assert scores_ride(House(), Own(fl.models.logistic()), 3)


def test_a_refusal_names_the_strategy_that_was_agreed_on():
    there = Apart(columns(people(120))).federation(STRATEGY)
    with pytest.raises(RuleError, match=r"^FedAvg needs owners with the same columns"):
        played(there, STRATEGY)


@pytest.mark.parametrize("frozen", [False, True])
def test_what_is_left_is_foretold_as_in_a_notebook(frozen):
    first = 307 + 60 * frozen  # rows of its own: budgets belong to data, and other tests keep vaults for theirs
    protect, budget = fl.RowLevelDP(row_rate=0.5, frozen=frozen), fl.Budget(4.0, 1e-4)
    notebook = fl.Federation(owners(first=first), encrypt=fl.CKKS(), protect=protect, budget=budget)
    known = [STRATEGY.spending(notebook, r, 4) for r in fl.rounds(notebook, STRATEGY, num_rounds=4)]
    house = House(encrypt=fl.CKKS(), protect=protect, budget=budget)
    there = Apart(owners(first=first + 30), house).federation(STRATEGY)
    watched = WatchedFederation(Agreement(there.names, house, STRATEGY, 4, 0), there.introductions)
    way, seen, told = way_to_play(there, STRATEGY), 0, []
    for record in way.rounds(there, STRATEGY, num_rounds=4, seed=0):
        watched.take(news.Played(record, None, way.ledger.messages[seen:], way.spent(), 0))
        seen = len(way.ledger)
        told.append(STRATEGY.spending(watched, record, 4))
        assert watched.epsilon() == record.epsilon
    assert [(s.spent, s.left, s.naive) for s in told] == [(s.spent, s.left, s.naive) for s in known]
    assert [s.what_if for s in told] == [s.what_if for s in known]
    assert [s.left for s in told] == [3, 2, 1, 0]
