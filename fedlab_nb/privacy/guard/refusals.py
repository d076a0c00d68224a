"""Why a release does not fit, in words: no room at all, no delta left for lists, too much epsilon, another's plan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fedlab_nb.errors import BudgetExceededError, VaultError
from fedlab_nb.privacy.budget import Budget
from fedlab_nb.units import counted

if TYPE_CHECKING:
    from fedlab_nb.privacy.account import Account, Debit, Tally
    from fedlab_nb.privacy.guard.frozen import FrozenPlan


def without_room(owner: str, budget: Budget, account: Account) -> BudgetExceededError | None:
    """The error for a budget in which the way this account counts leaves no room for anything; None if there is some.

    How it counts was fixed for the budget that the account was opened with, and may not suit a much smaller one.
    """
    meter, aside = account.meter, account.set_aside
    if meter.room(budget.epsilon, budget.delta - aside) > 0.0:
        return None
    why = (
        "How releases are counted is fixed when the account of the data is opened: a choice that had seen releases "
        "would not be sound."
    )
    if aside >= budget.delta:
        return BudgetExceededError(
            f"The account of {owner!r} sets delta {aside:g} aside for category lists, and the agreed delta is only "
            f"{budget.delta:g}: no release fits.",
            why,
            f"Agree on a delta well above {aside:g}, or bring rows that were not used yet.",
        )
    least = meter.epsilon(0.0, budget.delta - aside)
    return BudgetExceededError(
        f"The account of {owner!r} was opened for a larger budget: as it counts, even the smallest release takes more "
        f"than epsilon {least:.3g}, and the agreed epsilon is {budget.epsilon:g}.",
        why,
        f"Agree on an epsilon well above {least:.3g}, or bring rows that were not used yet.",
    )


def refusal(debit: Debit, budget: Budget, account: Account, tried: Tally) -> BudgetExceededError:
    """Why a debit does not fit: a plan is too large or takes all, no room at all, no delta for lists, or epsilon."""
    if debit.run:
        return plan_too_large(debit.owner, tried.spent(budget.delta), budget)
    if account.frozen is not None:
        return _beside_plan(debit, budget, account.frozen, tried.spent(budget.delta))
    none = without_room(debit.owner, budget, account)
    if none is not None:
        return none
    lists = [event.purpose for event in debit.events if event.delta]
    if lists and not all(lane.lists_fit for lane in tried.lanes()):
        return no_lists_left(debit.owner, lists[0], account)
    purpose, after, spent = debit.events[0].purpose, tried.spent(budget.delta), account.spent(budget.delta)
    reached = f"epsilon {after:.3f} of the agreed {budget.epsilon:g} (spent so far: {spent:.3f})"
    if after == math.inf:
        reached = f"a point where no epsilon holds at the agreed delta of {budget.delta:g}"
    return BudgetExceededError(
        f"Releasing {purpose} would take {debit.owner!r} to {reached}, so 0 further rounds fit and nothing was "
        "released.",
        "A privacy budget belongs to the data: it survives re-running a cell, a new Federation and a new name.",
        "Use the model as it is, agree on a larger epsilon with the owners, or bring rows that were not used yet.",
    )


def no_lists_left(owner: str, purpose: str, account: Account) -> BudgetExceededError:
    """The error for a category list that needs more delta than is left of what was set aside for lists."""
    return BudgetExceededError(
        f"{owner!r} cannot release {purpose}: of the delta {account.set_aside:g} that its account set aside for "
        f"category lists when it was opened, {account.lists_left:.3g} is left.",
        "A name on a list may give a single row away with that probability, and setting aside more after releases "
        "were seen would not be sound.",
        'Declare the categories at every owner: fl.DataOwner(..., categories={"column": ["a", "b"]}).',
    )


def plan_too_large(owner: str, reached: float, budget: Budget) -> BudgetExceededError:
    """The error for a run whose whole plan costs more than was agreed on."""
    return BudgetExceededError(
        f"With its frozen plan, the whole run takes {owner!r} to epsilon {reached:.3f} of the agreed "
        f"{budget.epsilon:g}, so nothing was released.",
        "A plan that is frozen is paid for as a whole before its first release: a run that would be cut off half-way "
        "is not begun.",
        "Plan fewer rounds, leave noise_multiplier out to have it calibrated to the budget, or agree on a larger "
        "epsilon.",
    )


def not_the_first(owner: str, account: Account) -> BudgetExceededError:
    """The error for a plan that is to be frozen where something has left the same rows already."""
    if account.frozen is not None:
        return BudgetExceededError(
            f"A plan was to be frozen, and the account of {owner!r} holds the frozen plan of another run already.",
            "A frozen plan is counted more tightly because it is all that ever leaves the rows under one budget: there "
            "is no room for a second one.",
            "Ask for the run of that plan again, with its settings, rounds and seed: it goes on where it was, but not "
            "over Flower. Or bring rows that were not used yet (for an exercise without a vault, restart the kernel).",
        )
    return BudgetExceededError(
        f"A plan was to be frozen, and {counted(account.releases, 'release')} took place from the rows of {owner!r} "
        "before.",
        "A frozen plan is counted more tightly because it was fixed before anything had left: after releases that were "
        "seen, that count would not be sound.",
        "Leave frozen=True out, or bring rows that were not used yet (for an exercise without a vault, restart the "
        "kernel).",
    )


def taken_over(owner: str) -> VaultError:
    """The error for a federation whose frozen plan another one goes on with."""
    return VaultError(
        f"Another federation, perhaps in another kernel, goes on with the frozen plan of {owner!r} by now.",
        "Each of its releases exists once: two runs that share them would both come to an end too early.",
        "Stop the other one and make the federation anew here, or let it finish: its answers are in the vault.",
    )


def _beside_plan(debit: Debit, budget: Budget, plan: FrozenPlan, reached: float) -> BudgetExceededError:
    """The error for a release that is none of a frozen plan's, or none any more, and has no room beside it."""
    purpose = debit.events[0].purpose
    return BudgetExceededError(
        f"Releasing {purpose} is not, or not any more, in the frozen plan of {debit.owner!r}; beside it, it would "
        f"take the account to epsilon {reached:.3f} of the agreed {budget.epsilon:g}.",
        "The plan was paid for as a whole and counts in full, also where a run was stopped early; one of its releases "
        f"that a crash cut off had begun and is used up ({plan.words}).",
        "Use the model as it is, agree on a larger epsilon with the owners, or bring rows that were not used yet.",
    )
