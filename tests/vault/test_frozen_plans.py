"""A frozen plan in a vault: debited once and before, each release of it begun once, whatever kernels do or die of."""

import threading
from collections import Counter
from contextlib import suppress

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError, SettingError, VaultError
from fedlab_nb.parties.books import Books
from fedlab_nb.privacy import Budget, Debit, RenyiMeter, Vault
from fedlab_nb.records import PrivacyEvent
from tests.rounds.common import bits, forget, logistic
from tests.vault.common import DELTA, HAIR, assert_unchanged, facts_of, forget_unused, refused, release
from tests.vault.test_killed import dies, play_on
from tests.vault.victims import ROUNDS, kill, noted
from tests.vault.victims import owners as invented

UPDATE = release(2.0, sample_rate=0.1)
PLAN = (*[UPDATE] * 6, release(6.0), release(5.0, "held-out"))
BUDGET = Budget(3.0, DELTA)
UPDATES = 3  # rounds of the runs below


def plan(data="rows of A", run="this run", *, events=PLAN, owner="Clinic A", budget=BUDGET, held_out=0.2):
    return Debit(owner, data, held_out, tuple(events), budget, run=run)


def draw(*events, data="rows of A", holder="this kernel", owner="Clinic A", budget=BUDGET, held_out=0.2):
    return Debit(owner, data, held_out, events or (UPDATE,), budget, holder=holder)


def opened(path=None):
    vault = Vault(path)
    vault.open("rows of A", "Clinic A", BUDGET, "row", RenyiMeter(7.5))
    vault.reserve([plan()])
    return vault


def test_a_plan_is_debited_once_with_one_line_for_each_kind_of_release(tmp_path):
    vault = opened(tmp_path / "v")
    lines = [entry for entry in vault.entries() if entry.kind == "debit"]
    assert [(entry.event.times, entry.facts["run"]) for entry in lines] == [(n, "this run") for n in (6, 1, 1)]
    before = facts_of(vault)
    vault.reserve([plan()])
    assert_unchanged(vault, before)
    spent = vault.account("rows of A").spent(DELTA)
    for number in range(6):
        assert vault.charge([draw(release(2.0, sample_rate=0.1, number=number))]) == len(vault)
    assert vault.account("rows of A").spent(DELTA) == spent
    assert Counter(entry.kind for entry in vault.entries()) == {"opened": 1, "debit": 3, "begun": 6}
    assert "'an update'" in repr(vault.entries()[-1])
    assert "6 releases of frozen plans" in vault._repr_html_()


def test_a_plan_and_what_has_begun_of_it_are_known_again_after_reopening(tmp_path):
    vault = opened(tmp_path / "v")
    vault.charge([draw(UPDATE, UPDATE)])
    again = Vault(tmp_path / "v")
    assert facts_of(again) == facts_of(vault)
    assert again.account("rows of A").frozen == vault.account("rows of A").frozen
    assert again.account("rows of A").is_one_plan
    assert again.account("rows of A").frozen.left(UPDATE, 0.2) == 4
    assert again.verify()


def test_what_has_begun_is_used_up_and_the_next_one_would_have_to_fit_by_the_meter():
    vault = opened()
    vault.charge([draw(*[UPDATE] * 6)])
    assert vault.charge([draw()]), "there is room by the meter"
    assert not vault.account("rows of A").is_one_plan
    full = Vault()
    full.open("rows of A", "Clinic A", BUDGET, "row", RenyiMeter(7.5))
    most = BUDGET.rounds(2.0, row_rate=0.1, frozen=True)
    full.reserve([plan(events=[UPDATE] * most)])
    full.charge([draw(*[UPDATE] * most)])
    before = facts_of(full)
    error = refused(lambda: full.charge([draw()]), "'Clinic A'", "frozen plan", error=BudgetExceededError)
    assert f"{most} have begun" in error.why
    assert_unchanged(full, before)


def test_all_owners_plans_are_debited_or_none():
    vault = Vault()
    small = Budget(0.5, DELTA)
    before = facts_of(vault)
    both = [plan(), plan("rows of B", owner="Clinic B", budget=small)]
    refused(lambda: vault.reserve(both), "'Clinic B'", "the agreed 0.5", error=BudgetExceededError)
    assert_unchanged(vault, before)
    vault.charge([Debit("Clinic B", "rows of B", 0.2, (release(50.0),), None)])
    before = facts_of(vault)
    both = [plan(), plan("rows of B", owner="Clinic B")]
    refused(lambda: vault.reserve(both), "'Clinic B'", "before", error=BudgetExceededError)
    assert_unchanged(vault, before)


def test_a_second_run_finds_no_room_for_its_plan():
    vault = opened()
    before = facts_of(vault)
    refused(lambda: vault.reserve([plan(run="another")]), "another run", error=BudgetExceededError)
    assert_unchanged(vault, before)


def test_two_owners_with_the_same_rows_do_not_begin_one_release_twice():
    vault = opened()
    vault.charge([draw(*[UPDATE] * 5)])
    vault.charge([draw(), draw(owner="Clinic B")])
    assert [entry.kind for entry in vault.entries()[-2:]] == ["begun", "debit"]


def test_the_kernel_that_came_last_goes_on_with_a_plan_and_the_other_is_told(tmp_path):
    first, second = opened(tmp_path / "v"), Vault(tmp_path / "v")
    first.charge([draw(holder="first")])
    second.charge([draw(holder="second")])
    before = facts_of(second)
    refused(lambda: first.charge([draw(holder="first")]), "'Clinic A'", "goes on with the frozen plan")
    assert_unchanged(second, before)
    second.charge([draw(holder="second")])
    assert second.account("rows of A").frozen.left(UPDATE, 0.2) == 3


def test_a_smaller_budget_agreed_on_later_ends_the_plan():
    vault = opened()
    costs = vault.account("rows of A").spent(DELTA)
    vault.charge([draw(budget=Budget(costs, DELTA))])
    before = facts_of(vault)
    smaller = Budget(0.9 * costs, DELTA)
    refused(lambda: vault.charge([draw(budget=smaller)]), "'Clinic A'", "of the agreed", error=BudgetExceededError)
    assert_unchanged(vault, before)


def test_kernels_at_once_begin_no_more_releases_than_were_planned(tmp_path):
    costs = opened(tmp_path / "v").account("rows of A").spent(DELTA)
    got: list[int] = []

    def kernel(number):
        vault = Vault(tmp_path / "v")
        for _ in range(6):
            with suppress(VaultError, BudgetExceededError):
                got.append(vault.charge([draw(holder=f"kernel {number}", budget=Budget(costs, DELTA))]))

    threads = [threading.Thread(target=kernel, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vault = Vault(tmp_path / "v")
    begun = [entry for entry in vault.entries() if entry.kind == "begun"]
    assert [entry.number for entry in begun] == sorted(got), "each is begun by one kernel"
    assert 1 <= len(begun) == 6 - vault.account("rows of A").frozen.left(UPDATE, 0.2) <= 6
    assert vault.verify()


def test_a_plan_that_moves_into_a_file_counts_there_and_nothing_of_it_is_left_to_begin(tmp_path):
    made = invented(3)
    fed = federation(made)
    list(fl.rounds(fed, logistic(), num_rounds=UPDATES))
    spent = fed.account("Bank A").spent(DELTA)
    moved = federation(made, Vault(tmp_path / "v"))
    account = moved.account("Bank A")
    assert account.spent(DELTA) == spent
    assert account.is_one_plan
    assert all(not account.frozen.left(event, 0.2) for event in account.frozen.events)
    with pytest.raises(SettingError, match="another vault"):
        fed.books.charge({"Bank A": [release(50.0)]}, fed.house)
    with pytest.raises(BudgetExceededError, match="another run"):
        next(fl.rounds(moved, logistic(), num_rounds=UPDATES))


# Runs that die


AGREED = {"protect": fl.RowLevelDP(row_rate=0.3, frozen=True), "budget": fl.Budget(4.0, DELTA)}


def federation(owners, vault=None):
    return fl.Federation(owners, vault=vault, **AGREED)


def frozen(path, owners):
    return play_on(path, owners, **AGREED)


def lines(path, kind):
    return [entry for entry in Vault(path).entries() if entry.kind == kind]


def test_killed_runs_go_on_under_their_plan_and_begin_no_release_twice(victims, tmp_path):
    killed, jobs = kill(victims, tmp_path, 2, seed=3, frozen=True)
    assert killed == 2
    for job, ended, got in jobs:
        assert ended in ({"done": True}, {"failed": "BudgetExceededError"})
        assert len(got) >= ROUNDS - 4
        debits = lines(job["vault"], "debit")
        assert Counter(entry.owner for entry in debits) == dict.fromkeys(("Bank A", "Bank B", "Bank C"), 7)
        for data in {entry.facts["data"] for entry in debits}:
            account = Vault(job["vault"]).account(data)
            assert account.is_one_plan
            assert account.spent(DELTA) <= 4.0 * HAIR
            began = [PrivacyEvent(**e.facts["event"]) for e in lines(job["vault"], "begun") if e.facts["data"] == data]
            often = Counter((e.purpose, e.amount) for e in began)
            assert all(often.pop((e.purpose, e.amount), 0) <= e.times for e in account.frozen.events)
            assert not often, "nothing else has begun"
        before = len(Vault(job["vault"]))
        assert victims.run(job)[0] == 0
        assert noted(job)[-1] == ended
        assert len(Vault(job["vault"])) == before, "what is there is answered again, and nothing more begins"


@pytest.mark.parametrize("moment", ["before it is reserved", "after it is reserved"])
def test_a_run_that_ends_before_its_first_release_has_lost_nothing(tmp_path, monkeypatch, moment):
    owners = invented(7)
    with monkeypatch.context() as patched:
        dies(patched, Vault, "reserve", 1, after=moment.startswith("after"))
        assert frozen(tmp_path / "v", owners) == ([], True)
    whole, died = frozen(tmp_path / "v", owners)
    assert not died
    assert len(whole) == UPDATES
    assert whole[-1].failed is None
    assert len(lines(tmp_path / "v", "debit")) == 7 * len(owners)


def test_a_release_that_had_begun_is_lost_and_the_run_ends_one_round_early(tmp_path, monkeypatch):
    owners = invented(7)
    with monkeypatch.context() as patched:
        dies(patched, Books, "keep", 7)  # plan, two statistics, count, then update and score of each round
        first, died = frozen(tmp_path / "v", owners)
    assert died
    spent = Vault(tmp_path / "v").account(lines(tmp_path / "v", "debit")[0].facts["data"]).spent(DELTA)
    second, died = frozen(tmp_path / "v", owners)
    assert not died
    assert bits(second)[: len(first)] == bits(first)
    assert [record.failed is None for record in second] == [True] * (UPDATES - 1) + [False]
    assert isinstance(second[-1].failed.error, BudgetExceededError)
    assert "a crash cut off" in str(second[-1].failed.error)
    updates = Counter(e.owner for e in lines(tmp_path / "v", "begun") if "update" in e.facts["event"]["purpose"])
    assert updates == dict.fromkeys(("Bank A", "Bank B", "Bank C"), UPDATES)
    assert second[-1].epsilon == spent <= 4.0 * HAIR
    again, _ = frozen(tmp_path / "v", owners)
    assert bits(again) == bits(second)


def test_a_federation_from_which_a_run_was_taken_over_says_so(tmp_path):
    owners = invented(5)
    forget()
    first = federation(owners, Vault(tmp_path / "v"))
    slow = fl.rounds(first, logistic(), num_rounds=UPDATES)
    began = next(slow)
    forget()
    second = federation(owners, Vault(tmp_path / "v"))
    whole = list(fl.rounds(second, logistic(), num_rounds=UPDATES))
    assert whole[-1].failed is None
    assert bits(whole)[:1] == bits([began])
    rest = list(slow)
    assert bits(rest) == bits(whole)[1:], "what the other one began is answered from the vault"
    forget_unused()


def test_of_two_federations_on_one_plan_only_the_one_that_came_last_begins_more(tmp_path):
    owners = invented(5)
    plays = []
    for _ in range(2):
        forget()
        plays.append(fl.rounds(federation(owners, Vault(tmp_path / "v")), logistic(), num_rounds=UPDATES))
        assert next(plays[-1]).failed is None
    first, second = plays
    begins = next(second)
    assert bits([next(first)]) == bits([begins]), "what was answered is there for both"
    refused = next(first)
    assert isinstance(refused.failed.error, VaultError)
    assert "goes on with the frozen plan" in str(refused.failed.error)
    assert next(second).failed is None
