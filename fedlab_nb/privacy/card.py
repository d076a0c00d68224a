"""The cards of this room: what a budget promises in words, and what an account has been charged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from fedlab_nb.cards import card, framed, pairs_html, panel, table_html
from fedlab_nb.privacy.account import Account
from fedlab_nb.privacy.budget import Budget
from fedlab_nb.privacy.forecast import alone
from fedlab_nb.privacy.meters import GaussianMeter, RenyiMeter
from fedlab_nb.privacy.tight import naive_epsilon, tight_epsilon
from fedlab_nb.records import PrivacyEvent
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
        ("Counts", "every round, statistic and score that leaves the same data, over all runs"),
        ("Lasts", "as long as the vault that keeps it; without a file, as long as the kernel"),
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
    counts = account.counts
    guards = [unit for unit in ("row", "owner") if counts and account.guaranteed(unit)]
    rows: list[tuple[str, object]] = [("Releases so far", f"{account.releases:,}")]
    if account.frozen is not None:
        rows = [("Releases so far, or reserved", f"{account.releases:,}"), ("Frozen plan", account.frozen.words)]
    if counts:
        rows.append(
            ("Guarantee", f"for every single {listed(guards)}" if guards else "none: something left unprotected")
        )
    if guards:
        rows += _assumptions(account, guards)
    body = pairs_html(rows)
    if guards:
        body += table_html(
            ("Epsilon spent, at", "As counted", "If this schedule had been fixed beforehand", "Naive sum"),
            [(f"delta {delta_text(delta)}", *_spent(account, delta)) for delta in DELTAS],
        )
    if counts:
        columns = ("What left", "Times", "Rows", "Protection", f"Epsilon alone, at delta {delta_text(DELTAS[0])}")
        shown = len(columns) if guards else len(columns) - 1
        body += table_html(columns[:shown], [line[:shown] for line in _lines(account)[:25]])
    note = "The account belongs to the data: it only ever grows, whatever the owner is called and whoever asks."
    if guards:
        note += " Releases are refused by the epsilon as counted; the other two are for comparison."
    return framed(panel(f"Privacy account: {counted(account.releases, 'release')}", body, note=note))


def _assumptions(account: Account, guards: Sequence[str]) -> list[tuple[str, object]]:
    """What an epsilon is about, without which it is only a number: neighbours, sampling, and how releases add up."""
    unit = "row" if guards == ["row"] else "row, or all rows of one owner,"
    rates = {event.sample_rate for event, _ in account.counts} - {1.0}
    exact, aside = isinstance(account.meter, GaussianMeter), account.set_aside
    sampling = "none: every row counts as part of every release"
    if rates:
        drawn = f"each row takes part with probability {listed(f'{rate:.3g}' for rate in sorted(rates))}"
        credit = "no credit is given for it" if exact else "independently of the others, known to its owner only"
        sampling = f"where the table says so, {drawn}; {credit}"
    return [
        ("Compared with", f"the same data with one {unit} added or removed (replacing one counts as both)"),
        ("Sampling", sampling),
        ("Counted by", _counted_words(account)),
        *([("Set aside for lists of categories", f"delta {delta_text(aside)}, from the start")] if aside else []),
    ]


def _counted_words(account: Account) -> str:
    meter = account.meter
    if account.is_one_plan:
        return "the privacy loss distribution of one plan, which was frozen and paid before its first release"
    if isinstance(meter, RenyiMeter):
        return f"Renyi divergence of order {meter.order:g}, chosen before the first release"
    return "Gaussian releases as one with their joint noise (exact); another as the Gaussian one that hides no more"


def _spent(account: Account, delta: float) -> tuple[str, str, str]:
    """Epsilon at ``delta`` as counted, of the same schedule fixed beforehand, and by adding up."""
    kinds = _by_rows(account)
    numbers = (
        account.spent(delta),
        max(tight_epsilon(events, delta) for events in kinds),
        max(naive_epsilon(events, delta) for events in kinds),
    )
    if numbers[0] == math.inf:
        return ("no epsilon holds: all of this delta is for lists of categories", "–", "–")
    counted_by, tight, naive = map(epsilon_text, numbers)
    return counted_by, tight, naive


def _by_rows(account: Account) -> list[Counter[PrivacyEvent]]:
    """How often each event touched [training rows, held-out rows], or [any] if the split changed (see Tally.lanes)."""
    changed = len({share for _, share in account.counts}) > 1
    kinds: list[Counter[PrivacyEvent]] = []
    for rows in (("training", "held-out", "all"),) if changed else (("training", "all"), ("held-out", "all")):
        touched: Counter[PrivacyEvent] = Counter()
        for (event, _), times in account.counts.items():
            touched[event] += times if event.rows in rows else 0
        kinds.append(touched)
    return kinds


def _lines(account: Account) -> list[tuple[str, str, str, str, str]]:
    """One line for each kind of release, and its epsilon if it had been the only one."""
    kinds: dict[tuple[str, str, str], Counter[PrivacyEvent]] = {}
    for (event, _), times in account.counts.items():
        kinds.setdefault((event.purpose, event.rows, event.words), Counter())[event] += times
    lines = []
    for (purpose, rows, how), events in kinds.items():
        often = sum(times * event.times for event, times in events.items())
        lines.append((purpose, f"{often:,}", rows, how, epsilon_text(alone(events, DELTAS[0], account.meter))))
    return lines
