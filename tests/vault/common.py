"""What tests of the vault share: small releases, ways to tamper with a file, and what must hold of every journal."""

import gc
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from fedlab_nb.errors import VaultError
from fedlab_nb.privacy import Account, Budget, Debit, GaussianMeter, Vault
from fedlab_nb.records import PrivacyEvent

DELTA = 1e-3
AMPLE = Budget(30.0, DELTA)
# Rounding in the last digits: the accountant allows as much beyond a budget.
HAIR = 1 + 1e-9


def release(amount=5.0, rows="training", *, number=1, unit="row", mechanism="gaussian", **more):
    return PrivacyEvent(number, "an update", rows, unit, mechanism, amount, **more)


def debit(data="rows of A", *events, owner="Clinic A", budget=AMPLE, held_out=0.2):
    return Debit(owner, data, held_out, events or (release(),), budget)


def filled(path, answers=4):
    """A vault with one agreement, and so many debits with an answer after each: 1 + 2 * answers entries."""
    vault = Vault(path)
    vault.open("rows of A", "Clinic A", AMPLE, "row", GaussianMeter())
    for number in range(answers):
        vault.keep(f"question {number}", vault.charge([debit()]), f"answer {number}")
    return vault


def forget_unused():
    """Close the files of vaults that nobody holds any more."""
    gc.collect()


def tamper(path, *statements):
    """Change a vault's file behind its back, as whoever has the file can."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)


def refused(what, *names, error=VaultError):
    """What ``what()`` raises: three full sentences that say what was meant."""
    with pytest.raises(error) as caught:
        what()
    clauses = (caught.value.what, caught.value.why, caught.value.do)
    assert all(clause.rstrip().endswith((".", "').")) and len(clause) > 10 for clause in clauses), clauses
    assert all(name in str(caught.value) for name in names), str(caught.value)
    return caught.value


def rounded(epsilon):
    """Ten digits of it: adding up in another order changes the last ones."""
    return float(f"{epsilon:.10g}")


def facts_of(vault):
    """All that a vault knows in memory, to be compared: before and after, or continuous and reopened."""
    accounts = {d: (a.counts, a.meter, rounded(a.spent(DELTA))) for d, a in vault._accounts.items() if a.releases}
    return accounts, dict(vault._answers), vault.head, len(vault)


def assert_unchanged(vault, before):
    """A refusal left nothing behind, neither in memory nor in the file."""
    assert facts_of(vault) == before
    assert vault.verify()


def recounted(entries):
    """The accounts that a journal amounts to, by data: counted by hand from its lines, in whatever order."""
    accounts = {}
    for entry in entries:
        if entry.kind == "opened" and entry.facts["data"] not in accounts:
            accounts[entry.facts["data"]] = Account(GaussianMeter())
    for entry in entries:
        if entry.kind == "debit":
            account, run = accounts.setdefault(entry.facts["data"], Account()), entry.facts.get("run", "")
            account.add(entry.event, entry.facts["held_out"], run=run)
    return accounts


def assert_paid_before(entries, asked):
    """Each answer of a journal stands behind debits of its own, or beginnings; gives those, by (owner, event).

    ``asked`` says by question which events (by owner) its answer released.
    """
    paid, used = Counter(), Counter()
    for entry in entries:
        if entry.kind == "debit" and "run" not in entry.facts:
            paid[entry.owner, entry.event] += 1
        elif entry.kind == "begun":
            paid[entry.owner, PrivacyEvent(**entry.facts["event"])] += 1
        elif entry.kind == "answer":
            used += asked.get(entry.facts["question"], Counter())
            assert used <= paid, f"line {entry.number} was released without its debit"
    return used
