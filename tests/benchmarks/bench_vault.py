"""What a vault costs, and what killing its users does to it: printed to be read, never a pass or a fail.

python run.py bench vault [kills] [entries]

Each kill is checked as in tests/vault: the chain, every answer's debits, epsilon counted anew, the same bits again.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fedlab_nb.privacy import Budget, GaussianMeter, Vault
from fedlab_nb.privacy.account import trial
from fedlab_nb.privacy.vault.charging import charged
from fedlab_nb.privacy.vault.journal import body_of, rows
from tests.vault.common import DELTA, debit, forget_unused, release
from tests.vault.victims import Victims, kill

REPEATS = 200
OWNERS = 10
LARGE = Budget(1000.0, DELTA)


def milliseconds(act, repeats=REPEATS):
    """Median and worst of many calls."""
    taken = []
    for number in range(repeats):
        began = time.perf_counter()
        act(number)
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken), max(taken)


def written(path, entries):
    """A vault with so many entries, as runs of ten owners leave them: debits of rounds and scores, few answers."""
    vault = Vault(path)
    for owner in range(OWNERS):
        vault.open(f"{owner:032x}", f"Owner {owner}", LARGE, "row", GaussianMeter())
    made, number = [], 0
    while len(made) < entries - OWNERS:
        number += 1
        first = OWNERS + len(made) + 1
        for rows_of, amount in (("training", 40.0), ("held-out", 60.0)):
            event = release(amount, rows_of, number=number)
            due = [debit(f"{o:032x}", event, owner=f"Owner {o}", budget=None) for o in range(OWNERS)]
            made += charged(due, vault.account, {})
        answer = {"question": f"{number:064x}", "debit": first, "digest": f"{number:064x}"}
        made.append(("answer", body_of(answer)))
    with vault._file.writing() as database:
        lines = rows(vault._last, len(vault), made[: entries - OWNERS])
        database.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?)", lines)


def costs(folder, entries):
    """Rows of the first table: (what, value, what it should be)."""
    vault = Vault(folder / "small")
    events = [release(40.0 + n % 20, rows) for n in range(500) for rows in ("training", "held-out")]
    vault.charge([debit("a", *events, budget=None)])
    account, checks = vault.account("a"), [debit("a", release(40.0 + n / 1000), budget=LARGE) for n in range(REPEATS)]
    check = milliseconds(lambda n: trial([(checks[n], account)]))
    yield "a budget check, ms: median; worst", f"{check[0]:.3f}; {check[1]:.1f}", "under 1"
    for owners in (1, OWNERS):
        durable = milliseconds(
            lambda n, k=owners: vault.charge([debit(f"{o}", release(40.0 + n), budget=LARGE) for o in range(k)])
        )
        yield f"a durable debit of {owners} owner(s), ms: median; worst", f"{durable[0]:.2f}; {durable[1]:.1f}", ""
    text = "x" * 10_000
    keep = milliseconds(lambda n: vault.keep(f"question {n}", 1, text))
    yield "keeping an answer of 10 kB, ms: median; worst", f"{keep[0]:.2f}; {keep[1]:.1f}", ""
    answer = milliseconds(lambda n: vault.answer(f"question {n}"))
    yield "finding it again, ms: median; worst", f"{answer[0]:.3f}; {answer[1]:.1f}", ""
    written(folder / "large", entries)
    forget_unused()
    size = (folder / "large").stat().st_size
    opening = milliseconds(lambda _: Vault(folder / "large"), 5)
    yield (
        f"opening a vault of {entries:,} entries, s: median; worst",
        f"{opening[0] / 1e3:.2f}; {opening[1] / 1e3:.2f}",
        ("under 1"),
    )
    vault = Vault(folder / "large")
    verify = milliseconds(lambda _: vault.entries(), 3)
    yield "reading and checking all of its journal, s (median)", f"{verify[0] / 1e3:.2f}", ""
    yield "its size on disk, bytes an entry", f"{size / entries:.0f}", ""


def kills(folder, times):
    """Rows of the second table: kill -9 at random moments, in the clear and encrypted, without and with a budget."""
    with closing(_Ended(Victims())) as victims:
        for number, (encrypted, epsilon) in enumerate([(False, None), (True, None), (False, 12.0), (True, 12.0)]):
            share = times // 4 + (number < times % 4)
            if not share:
                continue
            began, place = time.perf_counter(), folder / f"kills {number}"
            killed, jobs = kill(victims.victims, place, share, encrypted=encrypted, epsilon=epsilon, seed=number)
            ends = Counter("finished" if "done" in ended else ended["failed"] for _, ended, _ in jobs)
            name = f"{'encrypted' if encrypted else 'plain'}, {f'epsilon {epsilon:g}' if epsilon else 'no budget'}"
            told = ", ".join(f"{count} {end}" for end, count in ends.items())
            yield f"{killed} kills in {len(jobs)} runs, {name}", told, f"{time.perf_counter() - began:.0f} s"


class _Ended:
    def __init__(self, victims):
        self.victims, self.close = victims, victims.end


def show(table):
    """Print rows as they come: what, value, remark."""
    for name, value, remark in table:
        sys.stdout.write(f"{name:<62}{value:>22}  {remark}\n")
        sys.stdout.flush()


def main(times: int = 50, entries: int = 100_000) -> None:
    """Print both tables."""
    sys.stdout.write(f"{os.cpu_count()} cores.\n")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        show(costs(Path(folder), entries))
        show(kills(Path(folder), times))
        forget_unused()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
