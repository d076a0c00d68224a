"""Kill -9 at any moment: the same call goes on and ends with the bits of a run that nobody disturbed."""

import os
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.privacy import Vault
from fedlab_nb.records.kept import folder as kept_folder
from tests.checkpoint.common import Dies, content, facts_of, new_kernel, run_of
from tests.checkpoint.victims import KINDS, ROUNDS, federation, job_in, strategy
from tests.rounds.common import cells, logistic

# What an owner releases in one round at most, here: an update, a score, and a verdict with its own.
RELEASES = 4


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "row"])
def test_a_run_that_is_killed_again_and_again_equals_the_uninterrupted_one(victims, tmp_path, kind):
    job = job_in(tmp_path, kind)
    victims.killed(job, seed=len(kind))
    found = fl.History.load(job["folder"])
    whole = fl.History(fl.rounds(federation(kind), strategy(kind), num_rounds=ROUNDS, seed=4))
    # Ciphertexts are never alike, and a new kernel makes and sends new keys.
    exact = kind != "encrypted"
    assert facts_of(found, exact=exact) == facts_of(whole, exact=exact)


def test_under_a_privacy_budget_what_was_kept_is_not_paid_again(victims, tmp_path):
    """The vault answers what had been released: playing the run once more, without a checkpoint, changes nothing."""
    job = job_in(tmp_path, "row")
    times = victims.killed(job, seed=5)
    found, vault = fl.History.load(job["folder"]), Vault(job["vault"])
    assert [r.number for r in found] == list(range(1, ROUNDS + 1))
    assert vault.verify()
    lines, spent = len(vault), [r.epsilon for r in found]
    assert spent == sorted(spent)
    new_kernel()
    federation_again = federation("row", job["vault"])
    again = fl.History(fl.rounds(federation_again, strategy("row"), num_rounds=ROUNDS, seed=4))
    assert facts_of(again, exact=False) == facts_of(found, exact=False)
    assert len(Vault(job["vault"])) == lines
    assert federation_again.epsilon() == pytest.approx(spent[-1], rel=1e-12)  # added up in another order
    new_kernel()
    undisturbed = federation("row", tmp_path / "w")
    list(fl.rounds(undisturbed, strategy("row"), num_rounds=ROUNDS, seed=4))
    names = len(undisturbed.names)
    assert debits(tmp_path / "w") <= debits(job["vault"]) <= debits(tmp_path / "w") + times * RELEASES * names


def debits(vault):
    return sum(entry.kind == "debit" for entry in Vault(vault).entries())


def test_victims_do_leave_their_work_unfinished(victims, tmp_path):
    """The tests above would find nothing if victims were quicker than their killer."""
    job = job_in(tmp_path, "plain")
    assert victims.run(job, {"rounds": 0, "seconds": 0.0}) == -9
    assert not Path(job["end"]).exists()


STEPS = {"sync": (os, "fsync"), "rename": (Path, "replace")}


def dies_at(monkeypatch, owner, name, time, *, after):
    """The ``time``-th call of ``owner.name`` ends everything, before or after it did what it does."""
    real, calls = getattr(owner, name), []

    def called(*given, **named):
        calls.append(None)
        if len(calls) == time and not after:
            raise Dies
        done = real(*given, **named)
        if len(calls) == time:
            raise Dies
        return done

    monkeypatch.setattr(owner, name, called)
    return calls


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["sync", "rename"])
def test_wherever_the_writing_ends_the_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, step, after):
    owners, place = cells(2, rows=60), STEPS[step]
    whole = facts_of(run_of(fl.Federation(owners), logistic(), tmp_path / "whole", 2).history)
    time, ended = 0, False
    while not ended:
        time += 1
        path = tmp_path / str(time)
        with monkeypatch.context() as patched:
            calls = dies_at(patched, *place, time, after=after)
            try:
                died = isinstance(run_of(fl.Federation(owners), logistic(), path, 2).error, Dies)
            except Dies:  # before the first round
                died = True
            ended = len(calls) < time
        assert died is not ended
        again = run_of(fl.Federation(owners), logistic(), path, 2)
        assert facts_of(again.history) == whole
        assert facts_of(fl.History.load(path)) == whole
        assert not list(path.glob("*.tmp"))
    assert time >= 7, "the run, what is fixed in it, and two files for each round"


def test_a_file_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    done, sync, rename = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append("sync"), sync(number))[1])
    monkeypatch.setattr(Path, "replace", lambda path, to: (done.append(path.suffix + to.suffix), rename(path, to))[1])
    kept_folder.Folder(tmp_path / "new").claim({"strategy": "mine"})
    assert done == ["sync", ".tmp.json", "sync"]


def test_a_run_that_has_ended_is_there_at_once_and_changes_nothing(tmp_path):
    first = run_of(fl.Federation(cells()), logistic(), tmp_path / "a")
    before = content(tmp_path / "a")
    new_kernel()
    federation_again = fl.Federation(cells())
    again = run_of(federation_again, logistic(), tmp_path / "a")
    assert again.state == "finished"
    assert facts_of(again.history) == facts_of(first.history)
    assert (again.model.weights == first.model.weights).all()
    assert len(federation_again.ledger) == 0
    assert content(tmp_path / "a") == before
