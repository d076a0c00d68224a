"""Privacy accounting: events -> epsilon, epsilon -> noise, and one account per owner's data, kept in a vault."""

from fedlab_nb.privacy.account import Account, Debit, Statement, counted_by
from fedlab_nb.privacy.accountant import Total, epsilon
from fedlab_nb.privacy.budget import Budget, stricter
from fedlab_nb.privacy.forecast import by_purpose, epsilon_after, frozen_rounds_left, rounds_left, who_stops_first
from fedlab_nb.privacy.meters import (
    GaussianMeter,
    RenyiMeter,
    best_order,
    gaussian_epsilon,
    gaussian_mu,
    meter_for,
)
from fedlab_nb.privacy.plan import NoisePlan, implied_budget, plan_frozen, plan_owners, plan_rows, set_aside
from fedlab_nb.privacy.tight import naive_epsilon, tight_epsilon
from fedlab_nb.privacy.vault import Vault, home_of, mark_of, move_in

__all__ = [
    "Account",
    "Budget",
    "Debit",
    "GaussianMeter",
    "NoisePlan",
    "RenyiMeter",
    "Statement",
    "Total",
    "Vault",
    "best_order",
    "by_purpose",
    "counted_by",
    "epsilon",
    "epsilon_after",
    "frozen_rounds_left",
    "gaussian_epsilon",
    "gaussian_mu",
    "home_of",
    "implied_budget",
    "mark_of",
    "meter_for",
    "move_in",
    "naive_epsilon",
    "plan_frozen",
    "plan_owners",
    "plan_rows",
    "rounds_left",
    "set_aside",
    "stricter",
    "tight_epsilon",
    "who_stops_first",
]
