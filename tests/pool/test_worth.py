"""The doctor's sentence on pools: said where somebody would think of one, and by what a rehearsal took."""

import pytest

import fedlab_nb as fl
from fedlab_nb.checkup import plan
from fedlab_nb.pool.worth import pooled_seconds, worth
from tests.rounds.common import cells, declared


def test_more_workers_take_less_and_never_less_than_what_stays_here():
    took = [pooled_seconds(10.0, 8.0, 1000, workers) for workers in (1, 2, 4, 8, 1000)]
    assert took == sorted(took, reverse=True)
    assert took[0] > 10.0
    assert took[-1] > 2.0


@pytest.mark.parametrize(
    ("seconds", "shared", "said"),
    [
        (8.0, 7.5, "Over 4 workers a round would take about 2.6 s in place of 8 s: Pool(workers=4)"),
        (8.0, 1.0, ""),
        (0.2, 0.19, ""),
    ],
)
def test_a_pool_is_named_where_it_helps(seconds, shared, said):
    words = worth(fl.Federation(cells(5)), seconds, shared, 4)
    assert words.startswith(said)
    assert bool(words) == bool(said)


def test_many_owners_are_told_where_one_process_is_faster():
    words = worth(fl.Federation(declared(1000, 3)), 0.25, 0.05, 8)
    assert words.startswith("One process is faster, or about as fast: of 0.25 s a round 8 workers could share 0.05 s,")


def test_a_pool_has_no_more_workers_at_work_than_there_are_owners():
    assert "Over 3 workers" in worth(fl.Federation(cells(3)), 8.0, 8.0, 64)


def test_the_doctor_says_it_of_a_pooled_federation(pool_of, monkeypatch):
    monkeypatch.setattr(plan, "worth", lambda federation, *_: worth(federation, 0.25, 0.05, 8))
    federation = pool_of(2).federation(cells(4))
    found = fl.doctor(federation, fl.FedAvg(fl.models.logistic()), num_rounds=3, rows=20)
    assert all(
        "0.25 s a round 2 workers could share 0.05 s" in " ".join(t.split()) for t in (repr(found), found._repr_html_())
    )
    assert len(federation.ledger) == 0


def test_the_doctor_goes_by_the_seconds_of_its_twin(monkeypatch):
    given = []
    monkeypatch.setattr(plan, "worth", lambda *facts: given.append(facts) or "")
    found = fl.doctor(fl.Federation(cells(4)), fl.FedAvg(fl.models.logistic()), num_rounds=3, rows=20)
    ((_, seconds, shared, cores),) = given
    assert 0.0 < shared < seconds == found.planned.cost.middle.seconds
    assert cores >= 1
    assert "Processes" not in repr(found)
