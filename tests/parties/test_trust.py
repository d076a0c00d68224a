import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import RuleError
from fedlab_nb.parties.absent import absent_owner
from fedlab_nb.parties.shown.threats import threats
from fedlab_nb.parties.shown.trust import access, spending
from fedlab_nb.records import PrivacyEvent
from tests.rounds.common import assert_teaches, cells, declared, play

BUDGET = fl.Budget(epsilon=8, delta=1e-3)


def table(federation):
    return {row.kind: (row.owner, row.server, row.key_holder) for row in access(federation)}


def exposed(federation):
    return {line.who: line.safe for line in threats(federation)}


def test_who_sees_what_in_the_clear():
    federation = fl.Federation(cells())
    play(federation)
    assert table(federation) == {
        "rows of an owner": ("own", "never", "never"),
        "one owner's update": ("own", "reads", "never"),
        "sum of updates": ("never", "reads", "never"),
        "the model": ("reads", "reads", "never"),
        "one owner's statistics": ("own", "reads", "never"),
        "range count of one owner": ("own", "reads", "never"),
        "sum of statistics": ("never", "reads", "never"),
        "one owner's categories": ("own", "reads", "never"),
        "one owner's score counts": ("own", "reads", "never"),
        "one owner's score": ("own", "reads", "never"),
    }


def test_who_sees_what_under_encryption():
    federation = fl.Federation(cells(), encrypt=fl.CKKS())
    play(federation)
    assert table(federation) == {
        "rows of an owner": ("own", "never", "never"),
        "one owner's update": ("own", "sealed", "never"),
        "sum of updates": ("never", "reads", "reads"),
        "the model": ("reads", "reads", "never"),
        "one owner's statistics": ("own", "sealed", "never"),
        "range count of one owner": ("own", "sealed", "never"),
        "sum of statistics": ("never", "reads", "reads"),
        "one owner's categories": ("own", "reads", "never"),
        "one owner's score counts": ("own", "sealed", "never"),
        "one owner's score": ("own", "reads", "never"),
    }


def test_with_a_budget_single_scores_leave_only_as_noisy_verdicts():
    federation = fl.Federation(cells(), encrypt=fl.CKKS(), budget=BUDGET)
    play(federation)
    seen = table(federation)
    assert "one owner's score" not in seen
    assert seen["one owner's noisy verdict"] == ("own", "reads", "never")
    assert seen["one owner's update"] == ("own", "sealed", "never")


def test_at_owner_level_nobody_is_asked_for_statistics_or_lists():
    federation = fl.Federation(declared(), encrypt=fl.CKKS(), protect=fl.OwnerLevelDP(), budget=fl.Budget(8, 0.01))
    play(federation)
    kinds = set(table(federation))
    update, score = {"one owner's update", "sum of updates"}, {"one owner's score counts"}
    assert kinds == {"rows of an owner", "the model"} | update | score


def test_before_anything_crossed_nobody_has_seen_anything():
    assert table(fl.Federation(cells())) == {"rows of an owner": ("own", "never", "never")}


def test_threats_name_who_is_exposed_to_whom():
    plain = exposed(fl.Federation(cells()))
    assert plain["the server alone"] is False
    assert "the key holder with the server" not in plain
    sealed = exposed(fl.Federation(cells(), encrypt=fl.CKKS()))
    assert sealed["the server alone"] is None, "nothing bounds what the sum gives away"
    assert sealed["the key holder alone"] is None
    assert sealed["the key holder with the server"] is False
    assert sealed["the server with one owner"] is None
    two = exposed(fl.Federation(cells(2), encrypt=fl.CKKS()))
    assert two["the server with one owner"] is two["the other owner"] is False
    both = exposed(fl.Federation(cells(2), encrypt=fl.CKKS(), budget=BUDGET))
    safe = ("the server alone", "the key holder alone", "the server with one owner", "another owner")
    assert all(both[who] is True for who in safe)
    assert both["the key holder with the server"] is False
    for found in (plain, sealed):
        assert found["whoever controls this Python process"] is False
        assert found["whoever sees the results"] is None


@pytest.mark.parametrize("of_columns", [False, True])
def test_all_parties_share_a_process_only_where_their_rows_are_in_it(of_columns):
    table = fl.data.credit(200)
    here = fl.Federation(fl.split_columns(table, **table.attrs["parties"]) if of_columns else cells())
    facts = [(o.name, o.schema, o.held_out, o.budget, o.name.encode()) for o in here.owners]
    there = fl.Federation([absent_owner(*each) for each in facts])
    one_process = "whoever controls this Python process"
    assert exposed(here)[one_process] is False
    assert exposed(there).keys() == exposed(here).keys() - {one_process}


def test_between_owners_of_columns_no_server_adds_in_a_process_of_its_own():
    table = fl.data.credit(200)
    owners = fl.split_columns(table, **table.attrs["parties"])
    told = threats(fl.Federation(owners, encrypt=fl.CKKS("deep"), server="process"))[-1]
    assert told.could_read == "everything: all parties live in it, their walls are simulated"


def test_threats_and_claims_count_noise_only_where_it_is_a_guarantee():
    private = fl.Federation(cells(), budget=BUDGET)
    assert exposed(private)["the server alone"] is True
    assert exposed(private)["whoever sees the results"] is True
    rehearsal = fl.Federation(cells(), budget=BUDGET, noise_seed=1)
    assert exposed(rehearsal)["the server alone"] is False
    assert exposed(rehearsal)["whoever sees the results"] is None
    play(fl.Federation(cells()))
    late = fl.Federation(cells(), budget=BUDGET)
    assert exposed(late)["the server alone"] is None
    assert exposed(late)["whoever sees the results"] is None


def test_the_claim_is_computed_from_what_happened():
    owners = cells()
    private = fl.Federation(owners, budget=BUDGET, encrypt=fl.CKKS())
    claim = spending(private).claim
    assert all(word in claim for word in ("one row", "e^epsilon", "delta = 0.001", "noise comes in shares"))
    assert "in shares" not in spending(fl.Federation(owners, budget=BUDGET)).claim
    assert spending(fl.Federation(owners)).claim.startswith("No guarantee: there is no privacy mechanism")
    rehearsal = spending(fl.Federation(owners, budget=BUDGET, noise_seed=1))
    assert rehearsal.claim.startswith("No guarantee: this is a rehearsal")
    assert (rehearsal.private, rehearsal.spent) == (False, None)
    whole = spending(fl.Federation(declared(), protect=fl.OwnerLevelDP(), budget=fl.Budget(8, 0.01)))
    assert "all rows of one owner" in whole.claim


@pytest.mark.parametrize("earlier", [{}, {"budget": BUDGET, "noise_seed": 3}], ids=["plain", "rehearsal"])
def test_what_left_without_protection_stays_known(earlier):
    owners = cells()
    play(fl.Federation(owners, **earlier))
    federation = fl.Federation(owners, budget=BUDGET)
    history = play(federation)
    assert history[-1].failed is None
    assert federation.epsilon() is None
    assert history[-1].epsilon is None
    stand = spending(federation)
    assert stand.claim.startswith("No guarantee: the same rows left without protection")
    assert (stand.private, stand.spent, stand.agreed) == (False, None, 8)


def test_row_level_spending_is_no_guarantee_for_whole_owners_but_the_reverse_is():
    owners = declared()
    play(fl.Federation(owners, protect=fl.OwnerLevelDP(), budget=fl.Budget(4, 0.01)))
    assert fl.Federation(owners, budget=fl.Budget(8, 0.01)).epsilon() == pytest.approx(4)
    other = declared(seed=1)
    play(fl.Federation(other, budget=fl.Budget(4, 0.01)))
    assert fl.Federation(other, protect=fl.OwnerLevelDP(), budget=fl.Budget(8, 0.01)).epsilon() is None


def test_a_delta_that_is_used_up_already_leaves_no_guarantee():
    owners = cells()
    play(fl.Federation(owners, budget=fl.Budget(4, 1e-3)))
    # The category lists took a tenth of that delta: more than there is in all of this one.
    federation = fl.Federation(owners, budget=fl.Budget(8, 1e-5))
    stand = spending(federation)
    assert federation.epsilon() is None
    assert (stand.private, stand.spent) == (False, None)
    assert "a larger delta" in stand.claim
    assert exposed(federation)["the server alone"] is None
    assert fl.Federation(owners, budget=fl.Budget(8, 1e-3)).epsilon() == pytest.approx(4)


def test_what_a_strategy_of_ones_own_asks_for_is_told_by_name_and_its_cost_must_be_stated():
    federation = fl.Federation(cells(), encrypt=fl.CKKS(), budget=BUDGET)
    with pytest.raises(RuleError) as caught:
        federation.hear("favourite rows", lambda *_: np.ones(2), number=1, debits={})
    assert_teaches(caught, "favourite rows", "Owner 1")
    assert len(federation.ledger) == 0
    open_release = PrivacyEvent(1, "favourite rows", "training", "row", "none")
    debits = {name: [open_release] for name in federation.names}
    federation.hear("favourite rows", lambda *_: np.ones(2), number=1, debits=debits)
    told = {row.kind: (row.owner, row.server, row.key_holder) for row in access(federation)}
    assert told["favourite rows of one owner"] == ("own", "reads", "never")
    assert any("favourite rows of each owner" in threat.could_read for threat in threats(federation))
    assert spending(federation).claim.startswith("No guarantee")
