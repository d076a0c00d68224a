"""The cards of this room: what a budget promises in words, and what an account has been charged."""

from __future__ import annotations

import math
from collections import Counter

from fedlab_nb.cards import card, framed, pairs_html, panel, table_html
from fedlab_nb.privacy.account import Account, Budget
from fedlab_nb.units import counted, delta_text, epsilon_text, listed

# Deltas at which an account says what was spent: it belongs to the data, and no one budget comes with it.
DELTAS = (1e-5, 1e-3)


def budget_card(budget: Budget) -> str:
    """Epsilon and delta, and what they promise: as odds, and as a guess that an attacker can make."""
    eps, delta = budget.epsilon, delta_text(budget.delta)
    factor = f"{math.exp(eps):,.4g}" if eps < 13 else f"10^{eps / math.log(10):.0f}"
    odds = f"with one row (or one owner) more or less, nothing released is more than {factor} times as likely"
    guess = (
        "whoever could only toss a coin whether a row is in the data is afterwards right at most "
        f"{_best_guess(budget):.2%} of the time"
    )
    rows = [
        ("Epsilon, at most", f"{eps:g}"),
        ("Delta, at most", delta),
        ("In words", f"{odds}, except with probability {delta}"),
        ("As a guess", guess),
        ("Counts", "every round, statistic and score that leaves the same data, over all runs of this session"),
    ]
    note = "Each owner's account is charged before anything leaves, and a release beyond the budget is refused."
    return card("Privacy budget", rows, note)


def _best_guess(budget: Budget) -> float:
    """The largest chance to guess right between two equally likely data sets that differ by one row.

    Source: Kairouz, Oh and Viswanath 2015, "The composition theorem for differential privacy", section 2.
    """
    # (e^eps + delta) / (1 + e^eps), written so that a large epsilon does not overflow.
    small = math.exp(-budget.epsilon)
    return (1.0 + budget.delta * small) / (1.0 + small)


def account_card(account: Account) -> str:
    """What left one owner's data, how each kind of release was protected, and what that adds up to."""
    kinds = Counter((e.purpose, e.rows, e.words) for e, _ in account.entries)
    guards = [unit for unit in ("row", "owner") if account.entries and account.guaranteed(unit)]
    rows: list[tuple[str, object]] = [("Releases so far", f"{len(account.entries):,}")]
    if account.entries:
        rows.append(
            ("Guarantee", f"for every single {listed(guards)}" if guards else "none: something left unprotected")
        )
    rows += [(f"Epsilon spent, at delta {delta_text(delta)}", _spent(account, delta)) for delta in DELTAS if guards]
    body = pairs_html(rows)
    if kinds:
        lines = [(purpose, f"{times:,}", touched, how) for (purpose, touched, how), times in kinds.items()]
        body += table_html(("What left", "Times", "Rows", "Protection"), lines[:25])
    note = "The account belongs to the data: it only ever grows, whatever the owner is called and whoever asks."
    return framed(panel(f"Privacy account: {counted(len(account.entries), 'release')}", body, note=note))


def _spent(account: Account, delta: float) -> str:
    spent = account.spent(delta)
    return epsilon_text(spent) if spent < math.inf else "no epsilon holds: the lists took all of this delta"
