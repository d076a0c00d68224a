"""Processes that train and ask questions on a vault until they are killed; they note what they got, as they get it.

As a script it is a server: it imports everything once, then forks a victim for each line of JSON that it reads. What a
victim gets goes to a side file, synced before it asks for more, so that nothing it ever saw is missing there.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

import fedlab_nb as fl
from fedlab_nb.errors import BudgetExceededError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.books import Books
from fedlab_nb.privacy import Account, Vault
from fedlab_nb.records import PrivacyEvent, Update
from tests.vault.common import DELTA, HAIR, assert_paid_before, debit, recounted, release, rounded

ROUNDS = 5


def owners(seed):
    """Three owners of invented rows; their ranges and moments have to be asked for."""
    rng = np.random.default_rng(seed)
    made = []
    for name in ("Bank A", "Bank B", "Bank C"):
        x = rng.normal(size=(60, 3))
        frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x.sum(1) > 0, "yes", "no")})
        made.append(fl.DataOwner(name, frame, target="y", categories={"y": ["no", "yes"]}))
    return made


def federation(job):
    """The same federation for the same job, on its vault."""
    if job["frozen"]:
        protect, agreed = fl.RowLevelDP(noise_multiplier=2.0, row_rate=0.3, frozen=True), fl.Budget(4.0, DELTA)
        return fl.Federation(owners(job["seed"]), protect=protect, budget=agreed, vault=Vault(job["vault"]))
    return fl.Federation(
        owners(job["seed"]),
        encrypt=fl.CKKS() if job["encrypted"] else None,
        protect=fl.RowLevelDP(noise_multiplier=4.0),
        budget=fl.Budget(job["epsilon"], DELTA) if job["epsilon"] else None,
        vault=Vault(job["vault"]),
    )


def question(fed, number):
    """A question of one's own: a noisy sum, which changes nothing."""
    release = PrivacyEvent(number, "a sum of squares", "training", "row", "gaussian", 8.0)
    return fed.gather(
        "square",
        lambda _, rows: Update((rows.training[0].clip(-1, 1).to_numpy() ** 2).sum(axis=0), 1.0),
        number=fed.turn(),
        cohort=fed.names,
        bound=100.0,
        noise_sd=8.0 * 2**0.5,
        debits={name: [release] for name in fed.names},
        asked=f"squares, time {number}",
    ).value


class Notes:
    """The side file: one JSON line for each thing that left, on the disk before anything else happens."""

    def __init__(self, path):
        self._file = Path(path).open("a", encoding="utf8")  # noqa: SIM115 - open until the process is killed

    def write(self, **facts):
        self._file.write(json.dumps(facts) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def listen(self):
        """Note which question stands for which releases, before its answer is kept."""
        debits, names = {}, {}
        ask, keep = Books.question, Books.keep

        def asking(books, house, kind, cohort, asked, *facts):
            found = ask(books, house, kind, cohort, asked, *facts)
            if kind != "noise plan":  # a plan is kept, but nothing of the rows is in it
                names[found] = list(cohort)
            return found

        def keeping(books, question, number, payload):
            events = {n: [asdict(e) for e in debits.get(n, ())] for n in names.get(question, ()) if question}
            self.write(question=question, events=events)
            return keep(books, question, number, payload)

        def around(method):
            def called(fed, *given, **settings):
                debits.clear()
                debits.update(settings["debits"])
                return method(fed, *given, **settings)

            return called

        Books.question, Books.keep = asking, keeping
        Federation.gather, Federation.hear = around(Federation.gather), around(Federation.hear)


def live(job):
    """All that a victim does, if it lives so long."""
    notes = Notes(job["notes"])
    notes.listen()
    fed = federation(job)
    for number in () if job["frozen"] else (1, 2, 3):
        notes.write(got=f"question {number}", bits=_hash(question(fed, number).tobytes()))
    for record in fl.rounds(fed, fl.FedAvg(fl.models.logistic()), num_rounds=ROUNDS):
        if record.failed is not None:
            notes.write(failed=type(record.failed.error).__name__)
            return
        told = record.state.weights["server"].tobytes() + repr((record.metrics, record.owner_metrics)).encode()
        notes.write(got=f"round {record.number}", bits=_hash(told))
    notes.write(done=True)


def spend(job):
    """Several kernels that begin at once and charge one vault until the budget refuses it; they note what they got."""
    here, there = os.pipe()
    for number in range(job["kernels"]):
        if os.fork() == 0:
            code = 1
            try:
                os.close(there)
                os.read(here, 1)  # comes to its end when all are there
                told = _spent(job["vault"], f"Kernel {number}")
                Path(f"{job['notes']} {number}").write_text(json.dumps(told), encoding="utf8")
                code = 0
            finally:
                os._exit(code)
    os.close(there)
    ended = [os.wait()[1] for _ in range(job["kernels"])]
    assert not any(ended)


def _spent(path, name):
    vault, accepted = Vault(path), 0
    for number in range(60):
        both = [
            debit("rows of A", release(8.0, number=number), owner=name, budget=fl.Budget(3.0, DELTA)),
            debit("rows of " + name, release(8.0), owner=name, budget=None),
        ]
        with suppress(BudgetExceededError):
            vault.keep(f"{name} {number}", vault.charge(both), f"answer {number} to {name}")
            accepted += 1
    return accepted, vault.mark


def _hash(data):
    return hashlib.sha256(data).hexdigest()


def serve():
    """Fork a victim for each job; say how long it lived."""
    for heavy in ("dp_accounting.pld.privacy_loss_distribution", "tenseal", "torch"):
        import_module(heavy)  # loaded, not used: no context, no thread that a fork would lose
    for line in sys.stdin:
        job, began = json.loads(line), time.monotonic()
        victim = os.fork()
        if victim == 0:
            code = 1
            try:
                (spend if "kernels" in job else live)(job)
                code = 0
            finally:
                os._exit(code)
        status = None
        while status is None:
            ended, found = os.waitpid(victim, os.WNOHANG)
            if ended:
                status = found
            elif job["after"] is not None and time.monotonic() - began > job["after"]:
                os.kill(victim, signal.SIGKILL)
                status = os.waitpid(victim, 0)[1]
            else:
                time.sleep(0.0005)
        code = os.waitstatus_to_exitcode(status)
        sys.stdout.write(json.dumps({"code": code, "seconds": time.monotonic() - began}) + "\n")
        sys.stdout.flush()


class Victims:
    """The side of whoever kills: a server of victims, each with the same work on the same vault."""

    def __init__(self):
        command = [sys.executable, __file__]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, job, after=None):
        """Let a victim live for so many seconds, or to its end: (its exit code, -9 if killed; seconds it lived)."""
        self._server.stdin.write(json.dumps({**job, "after": after}) + "\n")
        self._server.stdin.flush()
        told = json.loads(self._server.stdout.readline())
        return told["code"], told["seconds"]

    def end(self):
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


def kill(victims, folder, times, *, encrypted=False, epsilon=None, seed=0, frozen=False):
    """Kill so many victims at random moments of their work, and check after each; what the jobs came to, by job.

    A job goes on after a kill, on the same vault; when it ends, or has been killed often enough, the next one begins
    on a new vault.
    """
    jobs, killed, rng = {}, 0, np.random.default_rng(seed)
    _, lifetime = victims.run(job_in(folder / "unharmed", encrypted=encrypted, epsilon=epsilon, frozen=frozen))
    while killed < times:
        settings = {"encrypted": encrypted, "epsilon": epsilon, "frozen": frozen}
        job = job_in(folder / f"job {len(jobs)}", seed=len(jobs), **settings)
        code, begun = -9, killed
        while code == -9:
            patience = float(rng.uniform(0.02, 1.0)) * lifetime if begun <= killed < min(times, begun + 4) else None
            code, _ = victims.run(job, patience)
            killed += code == -9
            got = check(job)
        assert code == 0
        jobs[job["vault"]] = (job, noted(job)[-1], got)
    return killed, list(jobs.values())


def job_in(folder, *, encrypted=False, epsilon=None, seed=0, frozen=False):
    """The work of a victim, with its vault and its notes in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    places = {"vault": str(folder / "v"), "notes": str(folder / "notes")}
    return {**places, "encrypted": encrypted, "epsilon": epsilon, "seed": seed, "frozen": frozen}


def noted(job):
    """What the victims of a job wrote down; a line that a kill cut off stands for nothing that was seen."""
    if not Path(job["notes"]).exists():
        return []
    lines = Path(job["notes"]).read_text(encoding="utf8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def check(job):
    """After a kill: the chain is whole, everything that left was paid before, and what came twice came alike."""
    notes, vault = noted(job), Vault(job["vault"])
    assert vault.verify()
    asked = {
        note["question"]: Counter((n, PrivacyEvent(**e)) for n, events in note["events"].items() for e in events)
        for note in notes
        if "question" in note
    }
    entries = vault.entries()
    used = assert_paid_before(entries, asked)
    by_hand = recounted(entries)
    for data, account in by_hand.items():
        kept = vault.account(data)
        assert (kept.counts, rounded(kept.spent(DELTA))) == (account.counts, rounded(account.spent(DELTA)))
    for data, name in {(e.facts["data"], e.owner) for e in entries if e.kind == "debit"}:
        least = Account()  # what its answers amount to, without the debits that nothing came of
        for owner, event in used.elements():
            if owner == name:
                least.add(event, 0.2)
        assert job["frozen"] or vault.account(data).spent(DELTA) * HAIR >= least.spent(DELTA)
        if job["epsilon"]:
            assert vault.account(data).spent(DELTA) <= job["epsilon"] * HAIR
    got = [(note["got"], note["bits"]) for note in notes if "got" in note]
    assert len(set(got)) == len(dict(got)), "the same question or round came out in two ways"
    return dict(got)


if __name__ == "__main__":
    with closing(sys.stdin):
        serve()
