import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

import fedlab_nb as fl
from fedlab_nb.audit import Auditor
from fedlab_nb.errors import SettingError
from fedlab_nb.privacy import Debit, Vault
from fedlab_nb.privacy.vault import home
from tests.audit.common import BUDGET, OPEN, event, federation, owners, release, tell_lists
from tests.rounds.common import assert_teaches

ON_JOURNAL = {
    "Debits before answers",
    "Answers were paid for",
    "Accounts and journal agree",
    "Spent within what was agreed",
}
SCHEMES = [None, fl.CKKS(), fl.CKKS(keys="owners"), fl.BFV(), fl.SecAgg()]


def failed(found):
    return {check.what for check in found.failed}


def found(verification, what):
    return next(check.found for check in verification.checks if check.what == what)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("budget", [None, BUDGET], ids=["exact", "private"])
def test_what_the_lab_itself_writes_holds(scheme, budget):
    fed = federation(encrypt=scheme, budget=budget)
    assert Auditor(fed).verify()
    tell_lists(fed)
    for number in (1, 2):
        release(fed, number, 8.0 if budget else 0.0, asked=f"round {number}")
    release(fed, 2, 8.0 if budget else 0.0, asked="round 2") if budget else None
    checked = Auditor(fed).verify()
    assert checked, str(checked)
    assert checked.failed == ()
    assert checked.vault_head == fed.books.vault.head
    assert checked.ledger_head == fed.ledger.messages[-1].digest


def test_a_whole_run_holds():
    fed = federation(encrypt=fl.CKKS())
    assert fl.train(fed, fl.FedAvg(fl.models.logistic()), num_rounds=2).history[-1].failed is None
    checked = Auditor(fed).verify()
    assert checked, str(checked)
    assert "category list, own score" in found(checked, "Sealed stays sealed")


def test_a_verification_is_one_line_a_text_and_a_card():
    checked = Auditor(federation()).verify()
    assert repr(checked) == "Verification(7 of 7 checks hold)"
    text = str(checked)
    assert text.count("✓ holds") == 7
    assert checked.ledger_head in text
    assert checked.vault_head in text
    page = checked._repr_html_()
    assert page.count("fl-good fl-word") == 7
    assert "all of it holds" in page


def test_an_altered_message_is_found():
    fed = federation()
    release(fed, noise=0.0)
    fed.ledger._messages[1] = replace(fed.ledger._messages[1], nbytes=1)
    checked = Auditor(fed).verify()
    assert not checked
    assert failed(checked) == {"Chain of messages"}
    assert "chain of messages" in repr(checked)
    assert "1 check failed" in checked._repr_html_()


def edit(path, statement, *values):
    with closing(sqlite3.connect(path)) as database:
        for name in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name[0]}")
        database.execute(statement, values)
        database.commit()


def test_an_edited_line_of_the_journal_is_found_and_nothing_is_told_from_it(tmp_path):
    fed = federation(budget=BUDGET, vault=Vault(tmp_path / "b.vault"))
    release(fed)
    edit(tmp_path / "b.vault", "UPDATE journal SET body = replace(body, '8.0', '80.0') WHERE number = 4")
    checked = Auditor(fed).verify()
    assert failed(checked) == ON_JOURNAL | {"Chain of the journal"}
    assert "line 4" in found(checked, "Chain of the journal")
    assert {check.holds for check in checked.checks if check.what in ON_JOURNAL} == {None}


def test_an_edited_answer_is_found(tmp_path):
    fed = federation(budget=BUDGET, vault=Vault(tmp_path / "b.vault"))
    release(fed, asked="it")
    edit(tmp_path / "b.vault", "UPDATE answers SET data = ?", np.zeros(3).tobytes())
    checked = Auditor(fed).verify()
    assert "Chain of the journal" in failed(checked)


def test_an_account_that_says_something_else_than_the_journal_is_found():
    fed = federation(budget=BUDGET)
    release(fed)
    fed.account("Clinic B").add(event(noise=80.0), 0.2)
    checked = Auditor(fed).verify()
    assert failed(checked) == {"Accounts and journal agree"}
    assert "'Clinic B' says 2 releases, the journal 1" in found(checked, "Accounts and journal agree")


def test_an_update_that_nobody_was_debited_for_is_found():
    fed = federation()
    fed.ledger.post(1, "Clinic A", "server", "update", np.zeros(2))
    checked = Auditor(fed).verify()
    assert failed(checked) == {"Answers were paid for"}
    assert "'Clinic A' sent answers, and the journal has no debit" in found(checked, "Answers were paid for")
    release(fed, noise=0.0)
    assert "'Clinic A' sent 2 updates, more than" in found(Auditor(fed).verify(), "Answers were paid for")


@pytest.mark.parametrize("debit", [99, 2], ids=["none such", "no debit"])
def test_an_answer_without_a_debit_before_it_is_found(debit):
    fed = federation(budget=BUDGET)
    release(fed)
    fed.books.vault.keep("a question", debit, np.zeros(2))
    assert failed(Auditor(fed).verify()) == {"Debits before answers"}


def test_answers_paid_ahead_are_told_and_not_held_against_anybody():
    fed = federation(budget=BUDGET)
    release(fed, asked="it")
    fed.books.vault.keep("a plan", 0, "64")
    checked = Auditor(fed).verify()
    assert checked
    assert "2 kept answers, 1 of them with a debit before it; 1 had no debit" in found(checked, "Debits before answers")


def overspend(fed, noise, times=1):
    vault = fed.books.vault
    vault.charge([Debit(n, d, 0.2, (event(noise=noise, times=times),), None) for n, d in fed.books.data.items()])


def test_more_than_agreed_is_found():
    fed = federation(budget=BUDGET)
    release(fed)
    assert Auditor(fed).verify()
    overspend(fed, 0.1)
    checked = Auditor(fed).verify()
    assert failed(checked) == {"Spent within what was agreed"}
    assert "of 8 at delta 0.001: more than agreed" in found(checked, "Spent within what was agreed")


def test_a_budget_that_is_used_to_the_last_bit_is_kept():
    fed = federation(budget=BUDGET)
    noise = OPEN.noise_multiplier(3)
    for number in (1, 2, 3):
        release(fed, number, noise)
    assert Auditor(fed).verify()


def test_a_smaller_agreement_is_only_broken_by_what_comes_after_it():
    held = owners()
    first = fl.Federation(held, budget=BUDGET)
    release(first, noise=1.0)
    second = fl.Federation(held, budget=fl.Budget(1.0, 1e-3))
    assert Auditor(second).verify(), "spent before it began"
    release(first, 2, noise=2.0)
    assert failed(Auditor(second).verify()) == {"Spent within what was agreed"}
    assert Auditor(first).verify(), "its own, older agreement allows what it did"


def test_an_update_that_crossed_readable_under_encryption_is_found():
    fed = federation(encrypt=fl.CKKS())
    release(fed, noise=0.0)
    release(fed, 2, noise=0.0)
    fed.ledger.post(3, "Clinic B", "server", "update", np.zeros(2))
    checked = Auditor(fed).verify()
    assert "Sealed stays sealed" in failed(checked)
    assert "'update' from 'Clinic B'" in found(checked, "Sealed stays sealed")


def test_a_question_asked_of_each_owner_is_named_and_not_held_against_anybody():
    fed = federation(encrypt=fl.CKKS())
    release(fed, noise=0.0, kind="histogram")
    debits = {name: [event(2, 0.0, "a histogram of each owner")] for name in fed.names}
    fed.hear("histogram", lambda *_: np.zeros(2), number=2, debits=debits)
    checked = Auditor(fed).verify()
    assert checked, str(checked)
    assert "one by one: histogram. Both ways: histogram." in found(checked, "Sealed stays sealed")


def test_without_encryption_nothing_was_to_be_sealed():
    plain = federation()
    release(plain, noise=0.0)
    assert "the server could read 3 answers" in found(Auditor(plain).verify(), "Sealed stays sealed")


def test_heads_noted_earlier_are_part_of_what_grew_from_them_and_of_nothing_else(tmp_path):
    held = owners()
    fed = fl.Federation(held, budget=BUDGET, vault=Vault(tmp_path / "b.vault"))
    empty = Auditor(fed).verify()
    release(fed)
    noted = Auditor(fed).verify()
    release(fed, 2)
    heads = [noted.ledger_head, noted.vault_head, empty.ledger_head, empty.vault_head]
    checked = Auditor(fed).verify(heads=heads)
    assert checked, str(checked)
    assert "4 heads" in found(checked, "Heads noted earlier")
    assert Auditor(fed).verify(heads=noted.vault_head[:32].upper() + "…"), "as a card shows it"
    other = Auditor(fl.Federation(owners(seed=1))).verify(heads=[noted.vault_head])
    assert failed(other) == {"Heads noted earlier"}
    assert noted.vault_head in found(other, "Heads noted earlier")


def test_an_older_copy_in_the_place_of_the_vault_is_found_by_a_noted_head_alone(tmp_path, monkeypatch):
    held, new, old = owners(), tmp_path / "b.vault", tmp_path / "old.vault"
    fed = fl.Federation(held, budget=BUDGET, vault=Vault(new))
    release(fed)
    with closing(sqlite3.connect(new)) as source, closing(sqlite3.connect(old)) as copy:
        source.backup(copy)
    release(fed, 2)
    noted = Auditor(fed).verify()
    monkeypatch.setattr(home, "_HOMES", {})  # as after a restart of the kernel
    again = Auditor(fl.Federation(held, budget=BUDGET, vault=Vault(old)))
    assert again.verify(), "nothing in the old copy itself is wrong"
    assert failed(again.verify(heads=[noted.vault_head])) == {"Heads noted earlier"}


@pytest.mark.parametrize("heads", ["abc", ["not a digest at all"], ["a" * 65], [7]], ids=str)
def test_a_head_that_is_no_digest_is_refused(heads):
    with pytest.raises(SettingError) as caught:
        Auditor(federation()).verify(heads=heads)
    assert_teaches(caught, "heads", "digest")


def test_what_another_kernel_wrote_into_the_vault_is_seen(tmp_path):
    fed = federation(budget=BUDGET, vault=Vault(tmp_path / "b.vault"))
    release(fed)
    other = Vault(tmp_path / "b.vault")
    other.charge([Debit("Clinic A", fed.books.data["Clinic A"], 0.2, (event(noise=9.0),), BUDGET)])
    checked = Auditor(fed).verify()
    assert checked, str(checked)
    assert found(checked, "Accounts and journal agree").startswith("4 debits")


@pytest.mark.parametrize("thing", [None, "federation", object()], ids=["None", "text", "object"])
def test_only_a_federation_has_something_to_audit(thing):
    with pytest.raises(SettingError) as caught:
        Auditor(thing)
    assert_teaches(caught, "Auditor")
