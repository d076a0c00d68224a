"""Kill -9 at any moment: nothing left without its debit, the chain is whole, and the run goes on to the same bits."""

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.ledger import Ledger
from fedlab_nb.parties.books import Books
from fedlab_nb.privacy import Vault
from tests.rounds.common import bits, forget, logistic
from tests.vault.common import DELTA, forget_unused
from tests.vault.victims import ROUNDS, check, job_in, kill, noted
from tests.vault.victims import owners as invented

EVERYTHING = {f"question {n}" for n in (1, 2, 3)} | {f"round {n}" for n in range(1, ROUNDS + 1)}


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_a_run_that_is_killed_again_and_again_ends_with_the_bits_that_it_had(victims, tmp_path, encrypted):
    killed, jobs = kill(victims, tmp_path, 3, encrypted=encrypted, seed=1)
    assert killed == 3
    for job, ended, got in jobs:
        assert (ended, set(got)) == ({"done": True}, EVERYTHING)
        before = len(Vault(job["vault"]))
        assert victims.run(job)[0] == 0
        assert len(Vault(job["vault"])) == before, "a run that ended costs nothing when it is run again"
        assert check(job) == got


def test_under_a_budget_what_a_kill_lost_stays_spent_and_the_run_ends_within_it(victims, tmp_path):
    _, jobs = kill(victims, tmp_path, 2, encrypted=False, epsilon=12.0, seed=2)
    for _, ended, got in jobs:
        assert ended in ({"done": True}, {"failed": "BudgetExceededError"})
        assert len(got) >= 3 + ROUNDS - 2


def test_victims_do_leave_their_work_unfinished(victims, tmp_path):
    """The tests above would find nothing if victims were quicker than their killer."""
    job = job_in(tmp_path, encrypted=False)
    assert victims.run(job, after=0.02)[0] == -9
    assert {"done": True} not in noted(job)


class Dies(BaseException):
    """As if the process ended here, whatever it was about to do."""


def dies(monkeypatch, owner, name, time, *, after=False):
    """``owner.name`` ends everything when it is called for the ``time``-th time."""
    real, calls = getattr(owner, name), []

    def called(*given, **settings):
        calls.append(None)
        done = real(*given, **settings) if after or len(calls) != time else None
        if len(calls) == time:
            raise Dies
        return done

    monkeypatch.setattr(owner, name, called)


def play_on(path, owners, **settings):
    """A new kernel's attempt at the same run: the rounds that it got, and whether it died."""
    forget_unused()
    forget()
    settings = {"protect": fl.RowLevelDP(noise_multiplier=4.0), **settings}
    federation = fl.Federation(owners, vault=Vault(path), **settings)
    got = []
    try:
        got.extend(fl.rounds(federation, logistic(), num_rounds=3))
    except Dies:
        return got, True
    return got, False


def debits(path):
    return [e for e in Vault(path).entries() if e.kind == "debit"]


MOMENTS = {
    "before the debit": (Vault, "charge", False),
    "after the debit": (Vault, "charge", True),
    "while messages go": (Ledger, "_record", False),
    "before it is kept": (Books, "keep", False),
    "after it is kept": (Books, "keep", True),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_wherever_a_run_ends_the_next_one_goes_on_and_only_what_left_unkept_costs_twice(tmp_path, monkeypatch, moment):
    owners = invented(7)
    play_on(tmp_path / "whole", owners)
    whole = len(debits(tmp_path / "whole"))
    place, name, after = MOMENTS[moment]
    for time in (3, 8):
        path = tmp_path / f"v{time}"
        with monkeypatch.context() as patched:
            dies(patched, place, name, time, after=after)
            first, died = play_on(path, owners)
        assert died
        assert Vault(path).verify()
        spent = len(debits(path))
        second, died = play_on(path, owners)
        assert not died
        assert second[-1].failed is None
        assert bits(second)[: len(first)] == bits(first)
        assert spent <= whole <= len(debits(path)) <= whole + 4 * len(owners), "of one round at most"


def test_a_round_that_was_lost_is_paid_and_the_run_ends_within_its_budget_with_what_it_had(tmp_path, monkeypatch):
    owners, budget = invented(7), fl.Budget(6.0, DELTA)
    with monkeypatch.context() as patched:
        dies(patched, Books, "keep", 5)
        first, died = play_on(tmp_path / "v", owners, budget=budget)
    second, _ = play_on(tmp_path / "v", owners, budget=budget)
    assert died
    assert bits(second)[: len(first)] == bits(first)
    assert isinstance(second[-1].failed.error, BudgetExceededError)
    vault = Vault(tmp_path / "v")
    assert vault.verify()
    assert all(vault.account(e.facts["data"]).spent(DELTA) <= 6.0 * (1 + 1e-9) for e in debits(tmp_path / "v"))
    assert not np.array_equal(second[0].state.weights["server"], second[-1].state.weights["server"])
