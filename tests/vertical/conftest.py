"""Each test finds unspent budgets."""

from tests.rounds.common import fresh_accounts

__all__ = ["fresh_accounts"]
