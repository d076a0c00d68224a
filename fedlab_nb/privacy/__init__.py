"""Privacy accounting: events -> epsilon, epsilon -> noise, and one account per owner's data."""

from fedlab_nb.privacy.account import Account, Budget, Debit, account_of, charge
from fedlab_nb.privacy.accountant import Total, epsilon, gaussian_epsilon, gaussian_mu
from fedlab_nb.privacy.forecast import by_purpose, epsilon_after, rounds_left
from fedlab_nb.privacy.plan import NoisePlan, implied_budget, plan_owners, plan_rows

__all__ = [
    "Account",
    "Budget",
    "Debit",
    "NoisePlan",
    "Total",
    "account_of",
    "by_purpose",
    "charge",
    "epsilon",
    "epsilon_after",
    "gaussian_epsilon",
    "gaussian_mu",
    "implied_budget",
    "plan_owners",
    "plan_rows",
    "rounds_left",
]
