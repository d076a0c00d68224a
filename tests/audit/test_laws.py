"""Laws over any sequence of releases under two agreements."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.audit import Auditor
from fedlab_nb.audit.evidence import evidence
from fedlab_nb.audit.replay import agreements, charges, rebuilt
from fedlab_nb.errors import BudgetExceededError
from tests.audit.common import owners, release

SEEDS = itertools.count(100)
LARGE, SMALL = fl.Budget(6.0, 1e-3), fl.Budget(1.5, 1e-3)
STEPS = st.lists(st.tuples(st.sampled_from(["large", "small"]), st.sampled_from([0.7, 1.5, 4.0])), max_size=6)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_sequence_holds_where_each_release_was_allowed_by_what_the_auditor_knows(steps):
    held = owners(seed=next(SEEDS))
    feds = {"large": fl.Federation(held, budget=LARGE)}
    feds["small"] = fl.Federation(held, budget=SMALL)
    past_small = False
    for number, (who, noise) in enumerate(steps, 1):
        try:
            release(feds[who], number, noise)
        except BudgetExceededError:
            continue
        past_small |= feds["large"].account("Clinic A").spent(1e-3) > SMALL.epsilon * (1 + 1e-9)
    assert Auditor(feds["large"]).verify(), "its own agreement allows all that was released"
    assert bool(Auditor(feds["small"]).verify()) is not past_small
    seen = evidence(feds["large"])
    for party in seen.parties:
        account = feds["large"].account(party.name)
        assert rebuilt(seen)[party.data].counts == account.counts
        totals = [c.total for c in charges(seen) if c.line.facts["data"] == party.data]
        assert totals == sorted(totals)
        assert (totals or [0.0])[-1] == pytest.approx(account.spent(1e-3))
        last = [a for a in agreements(seen) if a.line.facts["data"] == party.data][-1]
        assert last.after == pytest.approx(account.spent(1e-3))
