"""Several processes on one vault: nothing is spent twice, nothing is lost, nobody waits for ever."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from fedlab_nb.errors import BudgetExceededError, VaultError
from fedlab_nb.privacy import Budget, Vault
from fedlab_nb.privacy.vault import file
from tests.vault.common import DELTA, HAIR, assert_unchanged, debit, facts_of, filled, recounted, refused, release


@pytest.mark.parametrize("kernels", [2, 4])
def test_kernels_that_spend_at_once_spend_what_was_agreed_and_no_more(victims, tmp_path, kernels):
    # The vault does not exist yet: they make it at once, too.
    job = {"kernels": kernels, "vault": str(tmp_path / "v"), "notes": str(tmp_path / "notes")}
    assert victims.run(job)[0] == 0
    told = [json.loads((tmp_path / f"notes {number}").read_text()) for number in range(kernels)]
    assert len({mark for _, mark in told}) == 1
    vault, accepted = Vault(tmp_path / "v"), [count for count, _ in told]
    # By hand: 3.0 at delta 1e-3 allows so many releases at 8.0, whoever makes them.
    assert sum(accepted) == Budget(3.0, DELTA).rounds(8.0) == vault.account("rows of A").releases
    assert [vault.account(f"rows of Kernel {n}").releases for n in range(kernels)] == accepted
    assert vault.account("rows of A").spent(DELTA) <= 3.0 * HAIR
    assert vault.verify()
    assert all(vault.account(d).counts == a.counts for d, a in recounted(vault.entries()).items())
    kept = [vault.answer(f"Kernel {n} {i}") for n in range(kernels) for i in range(60)]
    assert sum(answer is not None for answer in kept) == sum(accepted)


def test_vaults_of_one_process_on_one_file_see_each_others_debits_and_answers(tmp_path):
    first, second = filled(tmp_path / "v"), Vault(tmp_path / "v")
    first.charge([debit()])
    second.charge([debit()])
    assert second.account("rows of A").releases == 6
    assert first.answer("nothing") is None
    assert first.account("rows of A").releases == 6, "whoever looks for an answer learns of new lines"
    second.keep("new", 2, "by the second")
    assert first.answer("new") == "by the second"
    assert facts_of(first) == facts_of(second) == facts_of(Vault(tmp_path / "v"))


def test_the_first_answer_to_a_question_stays(tmp_path):
    first, second = Vault(tmp_path / "v"), Vault(tmp_path / "v")
    first.keep("asked by both", first.charge([debit()]), "first")
    second.keep("asked by both", second.charge([debit()]), "second")
    assert first.answer("asked by both") == second.answer("asked by both") == "first"
    assert first.account("rows of A").releases == 2, "both were released, so both are paid"


def test_threads_on_one_vault_do_not_lose_debits(tmp_path):
    vault = Vault(tmp_path / "v")

    def spend(name):
        for number in range(20):
            vault.keep(f"{name} {number}", vault.charge([debit(budget=None)]), "answer")

    threads = [threading.Thread(target=spend, args=(name,)) for name in "ABC"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert vault.account("rows of A").releases == 60
    assert facts_of(vault) == facts_of(Vault(tmp_path / "v"))
    assert vault.verify()


def test_whoever_finds_the_file_locked_is_told_and_nothing_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(file, "PATIENCE_SECONDS", 0.05)
    holder, vault = filled(tmp_path / "v"), Vault(tmp_path / "v")
    before = facts_of(vault)
    with holder._file.writing():
        refused(lambda: vault.charge([debit()]), "locked", "Another kernel")
        refused(lambda: vault.keep("another", 2, "an answer"), "locked")
        assert facts_of(vault) == before
        assert vault.answer("question 1") == "answer 1", "who only reads need not wait"
    assert_unchanged(vault, before)
    vault.charge([debit()])
    holder.charge([debit()])
    assert holder.account("rows of A").releases == 6


def test_whoever_waits_long_enough_gets_through(tmp_path):
    holder, vault, charged = filled(tmp_path / "v"), Vault(tmp_path / "v"), []
    waiting = threading.Thread(target=lambda: charged.append(vault.charge([debit()])))
    with holder._file.writing():
        waiting.start()
        time.sleep(0.05)
        assert not charged
    waiting.join()
    assert charged == [10]


HOLDER = """
import sys
from fedlab_nb.privacy import Vault
with Vault(sys.argv[1])._file.writing():
    print("holding", flush=True)
    sys.stdin.readline()
"""


def test_a_lock_of_another_kernel_is_told_and_ends_with_it(tmp_path, root, monkeypatch):
    monkeypatch.setattr(file, "PATIENCE_SECONDS", 0.05)
    vault = filled(tmp_path / "v")
    before = facts_of(vault)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "v")]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "holding\n"
        refused(lambda: vault.charge([debit()]), "locked")
        other.kill()
    assert_unchanged(vault, before)
    vault.charge([debit()])
    assert Vault(tmp_path / "v").account("rows of A").releases == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_copy_of_a_process_does_not_touch_the_open_file(tmp_path):
    vault, (here, there) = filled(tmp_path / "v"), os.pipe()
    child = os.fork()
    if child == 0:
        told = b"charged"
        try:
            vault.charge([debit()])
        except VaultError as error:
            told = str(error).encode()
        os.write(there, told)
        os._exit(0)
    os.waitpid(child, 0)
    assert b"fork" in os.read(here, 1000)
    for end in (here, there):
        os.close(end)
    vault.charge([debit()])
    assert facts_of(vault) == facts_of(Vault(tmp_path / "v"))


def test_what_another_kernel_spent_counts_before_a_refusal_is_worded(tmp_path):
    first, second, budget = Vault(tmp_path / "v"), Vault(tmp_path / "v"), Budget(1.0, DELTA)
    first.charge([debit("rows of A", release(4.0), budget=budget)])
    before = facts_of(first)
    for vault in (second, first):
        with pytest.raises(BudgetExceededError, match=r"spent so far: 0\.592"):
            vault.charge([debit("rows of A", release(3.0), budget=budget)])
    assert facts_of(first) == before == facts_of(second)
