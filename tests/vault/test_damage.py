"""Whatever is wrong with the file: a clear error, nothing released, and nothing forgotten."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from fedlab_nb.privacy import Vault
from tests.vault.common import debit, facts_of, filled, forget_unused, refused, tamper

# What is changed, and the line that is named for it.
JOURNAL = {
    "an edited amount": ("UPDATE journal SET body = replace(body, '5.0', '9.0') WHERE number = 4", 4),
    "an edited owner": ("UPDATE journal SET body = replace(body, 'Clinic A', 'Clinic B') WHERE number = 2", 2),
    "an edited time": ("UPDATE journal SET at = at + 1 WHERE number = 3", 3),
    "an edited kind": ("UPDATE journal SET kind = 'answer' WHERE number = 2", 2),
    "an edited digest": ("UPDATE journal SET digest = zeroblob(32) WHERE number = 5", 5),
    "a digest as text": ("UPDATE journal SET digest = hex(digest) WHERE number = 5", 5),
    "a body as bytes": ("UPDATE journal SET body = CAST(body AS BLOB) WHERE number = 6", 6),
    "a removed line": ("DELETE FROM journal WHERE number = 4", 4),
    "a removed first line": ("DELETE FROM journal WHERE number = 1", 1),
    "a line added at the end": (
        "INSERT INTO journal SELECT 10, at, kind, body, digest FROM journal WHERE number = 2",
        10,
    ),
    "a line added before the first": ("INSERT INTO journal SELECT 0, at, kind, body, digest FROM journal LIMIT 1", 1),
    "a line with a number below 0": ("INSERT INTO journal SELECT -7, at, kind, body, digest FROM journal LIMIT 1", 1),
    "two lines that changed places": ("UPDATE journal SET number = -number WHERE number IN (2, 4)", 1),
    "another key": ("UPDATE key SET value = randomblob(32)", 1),
    "no key": ("DELETE FROM key", 1),
}


@pytest.mark.parametrize("change", JOURNAL)
def test_a_journal_that_is_not_as_it_was_written_is_not_opened(tmp_path, change):
    statement, line = JOURNAL[change]
    filled(tmp_path / "v")
    forget_unused()
    tamper(tmp_path / "v", statement)
    refused(lambda: Vault(tmp_path / "v"), f"line {line} of its journal")


@pytest.mark.parametrize("change", JOURNAL)
def test_an_open_vault_sees_the_change_before_it_releases_anything(tmp_path, change):
    statement, line = JOURNAL[change]
    vault = filled(tmp_path / "v")
    before = facts_of(vault)
    tamper(tmp_path / "v", statement)
    assert not vault.verify()
    refused(lambda: vault.charge([debit()]), f"line {line} of its journal")
    refused(lambda: vault.keep("another", 2, "an answer"), "journal")
    refused(lambda: vault.answer("question 0"), "journal")
    assert facts_of(vault) == before, "what was spent is still known in memory"


@pytest.mark.parametrize("lines", ["number = 9", "number > 3", "1"], ids=["the last", "most", "all"])
def test_removing_the_newest_lines_is_seen_by_whoever_is_open_and_by_whoever_noted_the_head(tmp_path, lines):
    vault = filled(tmp_path / "v")
    noted, before = vault.head, facts_of(vault)
    tamper(tmp_path / "v", f"DELETE FROM journal WHERE {lines}", f"DELETE FROM answers WHERE {lines}")
    assert not vault.verify()
    refused(lambda: vault.charge([debit()]), "line 9")
    assert facts_of(vault) == before
    # The file alone cannot tell: it is what an older copy would be.
    reopened = Vault(tmp_path / "v")
    assert reopened.verify()
    assert noted not in [reopened.head, *(entry.digest for entry in reopened.entries())]


@pytest.mark.parametrize("line", [3, 9])
def test_an_edit_that_comes_with_new_lines_cannot_make_anything_cheaper(tmp_path, line):
    vault, other = filled(tmp_path / "v"), Vault(tmp_path / "v")
    other.charge([debit()])
    tamper(tmp_path / "v", f"UPDATE journal SET at = at + 1 WHERE number = {line}")
    refused(lambda: other.charge([debit()]), f"line {line}")
    vault.charge([debit()])
    assert vault.account("rows of A").releases == 6, "counted from what it knew, not from the file"
    assert not vault.verify()
    refused(lambda: Vault(tmp_path / "v"), f"line {line}")


ANSWERS = {
    "an edited answer": "UPDATE answers SET data = CAST('answer 7' AS BLOB) WHERE number = 3",
    "an answer in another's place": (
        "UPDATE answers SET data = (SELECT data FROM answers WHERE number = 5) WHERE number = 3"
    ),
    "text taken for numbers": "UPDATE answers SET form = 'numbers' WHERE number = 3",
    "a removed answer": "DELETE FROM answers WHERE number = 3",
    "an answer under another question": "UPDATE answers SET question = 'question 77' WHERE number = 3",
    "an answer that is text": "UPDATE answers SET data = 'answer 0' || char(0) WHERE number = 3",
}


@pytest.mark.parametrize("change", ANSWERS)
@pytest.mark.parametrize("is_open", [True, False])
def test_an_answer_that_is_not_as_it_was_written_is_not_given(tmp_path, change, is_open):
    vault = filled(tmp_path / "v")
    tamper(tmp_path / "v", ANSWERS[change])
    vault = vault if is_open else Vault(tmp_path / "v")
    refused(lambda: vault.answer("question 0"), "not as it was written")
    assert vault.answer("question 1") == "answer 1"
    assert vault.answer("question 77") is None
    assert not vault.verify()


def test_numbers_come_back_as_they_were_and_unknown_questions_get_none(tmp_path):
    vault, numbers = filled(tmp_path / "v"), np.array([0.1, -0.0, np.pi, 1e-300, 1e300])
    vault.keep("numbers", 2, numbers)
    for each in (vault, Vault(tmp_path / "v")):
        assert each.answer("numbers").tobytes() == numbers.tobytes()
        each.answer("numbers")[0] = 9.0
        assert each.answer("numbers").tobytes() == numbers.tobytes(), "what is kept is not what was handed out"
        assert each.answer("never asked") is None


def test_the_tables_only_grow_by_ordinary_means(tmp_path):
    vault = filled(tmp_path / "v")
    with closing(sqlite3.connect(tmp_path / "v")) as database:
        for table, change in (("journal", "kind = 'x'"), ("answers", "form = 'x'"), ("key", "value = x'00'")):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                database.execute(f"UPDATE {table} SET {change}")
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                database.execute(f"DELETE FROM {table}")
    assert vault.verify()
