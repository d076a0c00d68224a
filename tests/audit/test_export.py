import csv
import json
import os
from collections import Counter

import pytest

import fedlab_nb as fl
from fedlab_nb.audit import Auditor
from fedlab_nb.audit.export import FIELDS
from fedlab_nb.errors import SettingError
from fedlab_nb.privacy import epsilon
from tests.audit.common import BUDGET, SECRETS, event, federation, owners, release, tell_lists
from tests.rounds.common import assert_teaches

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")


def told(fed, tmp_path):
    return json.loads(Auditor(fed).to_json(tmp_path / "audit.json").read_text(encoding="utf-8"))


def table(fed, tmp_path):
    with Auditor(fed).to_csv(tmp_path / "audit.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_that_crossed_or_was_written_down_is_told_once(tmp_path):
    fed = federation(encrypt=fl.CKKS(), budget=BUDGET)
    tell_lists(fed)
    release(fed, asked="it")
    record = told(fed, tmp_path)
    assert Counter(e["record"] for e in record["events"]) == {
        "message": len(fed.ledger),
        "agreement": 3,
        "debit": 6,
        "answer": 1,
    }
    for said, message in zip(record["events"], fed.ledger.messages, strict=False):
        assert (said["who"], said["to"], said["what"]) == (message.sender, message.receiver, message.kind)
        assert (said["bytes"], said["encrypted"], said["content"]) == (
            message.nbytes,
            message.encrypted,
            message.content,
        )
    assert record["heads"] == {"ledger": fed.ledger.messages[-1].digest, "vault": fed.books.vault.head}
    assert record["events"][-1]["digest"] == record["heads"]["vault"]
    assert all(check["holds"] for check in record["verification"])
    assert record["owners"][0] == {
        "name": "Clinic A",
        "data": fed.books.data["Clinic A"],
        "agreed": {"epsilon": 8.0, "delta": 1e-3},
    }
    assert record["columns"] == {"features": ["age", "town"], "target": "ill"}
    assert "evidence for people who decide" in record["read_first"]


def test_the_schema_is_in_the_file_and_every_event_keeps_to_it(tmp_path):
    fed = federation(budget=BUDGET)
    release(fed)
    record = told(fed, tmp_path)
    assert record["schema"] == "fedlab_nb audit record, version 1"
    assert list(record["fields"]) == list(FIELDS)
    assert all(list(e) == list(FIELDS) for e in record["events"])
    assert all(len(meaning) > 5 for meaning in FIELDS.values())


def test_epsilon_alone_and_running_are_the_accountants(tmp_path):
    fed = federation(budget=BUDGET)
    sequence = [8.0, 6.0, 9.0]
    for number, noise in enumerate(sequence, 1):
        release(fed, number, noise)
    debits = [e for e in told(fed, tmp_path)["events"] if e["record"] == "debit" and e["who"] == "Clinic B"]
    events = [event(noise=noise) for noise in sequence]
    assert [d["epsilon"] for d in debits] == pytest.approx([epsilon([e], 1e-3) for e in events])
    # The account sets a tenth of delta aside for the undeclared categories, from the first release on.
    assert [d["epsilon_running"] for d in debits] == pytest.approx([epsilon(events[:n], 9e-4) for n in (1, 2, 3)])
    assert debits[-1]["epsilon_running"] == pytest.approx(fed.epsilon())
    assert {(d["delta"], d["agreed_epsilon"], d["agreed_delta"]) for d in debits} == {(1e-3, 8.0, 1e-3)}


def test_no_epsilon_is_told_once_something_left_exact(tmp_path):
    fed = federation(budget=BUDGET)
    release(fed)
    tell_lists(fed, 2)
    release(fed, 3)
    debits = [e for e in told(fed, tmp_path)["events"] if e["record"] == "debit" and e["who"] == "Clinic A"]
    assert [d["epsilon"] is None for d in debits] == [False, True, False]
    assert [d["epsilon_running"] is None for d in debits] == [False, True, True]
    assert debits[1]["what"] == "not protected"


def test_only_lines_about_these_owners_are_told(tmp_path):
    other = fl.Federation(owners(seed=1), budget=BUDGET)
    release(other, asked="it")
    fed = federation(budget=BUDGET)
    release(fed)
    record = told(fed, tmp_path)
    assert record["journal_lines_left_out"] == 7
    assert {e["data"] for e in record["events"] if e["record"] == "debit"} == set(fed.books.data.values())


def test_no_private_value_no_beginning_of_a_message_and_no_seed_is_in_the_files(tmp_path):
    fed = federation(budget=BUDGET, noise_seed=564738)
    tell_lists(fed)
    release(fed)
    plain = federation()
    release(plain, noise=0.0)
    assert any("Atlantis" in str(m.peek) for m in fed.ledger.messages)
    for each in (fed, plain):
        told(each, tmp_path)
        table(each, tmp_path)
        for name in ("audit.json", "audit.csv"):
            page = (tmp_path / name).read_text(encoding="utf-8")
            assert [secret for secret in (*SECRETS, "564738") if secret in page] == []
    assert told(fed, tmp_path)["settings"]["rehearsal"] is True


def test_the_table_says_what_the_object_says(tmp_path):
    fed = federation(encrypt=fl.SecAgg(), budget=BUDGET)
    release(fed, asked="it")
    rows, events = table(fed, tmp_path), told(fed, tmp_path)["events"]
    assert len(rows) == len(events)
    for row, said in zip(rows, events, strict=True):
        plain = {
            n: "" if v is None else {True: "yes", False: "no"}[v] if n == "encrypted" else str(v)
            for n, v in said.items()
        }
        assert row == plain


EVIL = ["=1+1", "+1", "-1", "@SUM(A1)", " =cmd|' /C calc'!A0", "\t=1", "\uff1d1+1", 'a"b,c\n=d']


def test_no_cell_begins_like_a_formula_whatever_anything_is_called(tmp_path):
    fed = fl.Federation(owners(EVIL))
    for i, name in enumerate(EVIL):
        debits = {owner: [event(i, 0.0, name)] for owner in fed.names}
        fed.hear(name, lambda *_: "[]", number=i, debits=debits)
    rows = table(fed, tmp_path)
    cells = [cell for row in rows for cell in row.values()]
    assert not any(cell.lstrip(" ").startswith(FORMULA) for cell in cells)
    for name in EVIL[:-1]:
        assert f"'{name}" in {row["who"] for row in rows}
        assert f"'{name}" in {row["purpose"] for row in rows}
        assert f"'{name}" in {row["what"] for row in rows}
    assert EVIL[-1] in {row["who"] for row in rows}


@pytest.mark.parametrize("path", ["audit.txt", "audit", 7, None, ".json"], ids=str)
def test_another_ending_or_no_path_is_refused(path):
    with pytest.raises(SettingError) as caught:
        Auditor(federation()).to_json(path)
    assert_teaches(caught, "JSON", ".json")


def test_a_place_that_cannot_be_written_is_told_and_left_as_it_was(tmp_path, monkeypatch):
    auditor = Auditor(federation())
    with pytest.raises(SettingError) as caught:
        auditor.to_csv(tmp_path / "nowhere" / "audit.csv")
    assert_teaches(caught, "audit.csv", "folder")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(SettingError):
        auditor.to_json(tmp_path / "folder.json")
    kept = auditor.to_json(tmp_path / "kept.json").read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(SettingError):
        auditor.to_json(tmp_path / "kept.json")
    assert (tmp_path / "kept.json").read_bytes() == kept
    assert {path.name for path in tmp_path.iterdir()} == {"folder.json", "kept.json"}


def test_a_broken_journal_can_still_be_written_down_as_such(tmp_path):
    from fedlab_nb.privacy import Vault
    from tests.audit.test_verify import edit

    fed = federation(budget=BUDGET, vault=Vault(tmp_path / "b.vault"))
    release(fed)
    edit(tmp_path / "b.vault", "DELETE FROM journal WHERE number = 5")
    record = told(fed, tmp_path)
    assert "line 5" in record["vault"]["fault"]
    assert {e["record"] for e in record["events"]} == {"message"}
    assert not all(check["holds"] for check in record["verification"])
