"""Each test finds unspent budgets; victims wait to be killed."""

import os

import pytest

from tests.checkpoint.victims import Victims
from tests.rounds.common import fresh_accounts

__all__ = ["fresh_accounts", "victims"]


@pytest.fixture(scope="session")
def victims():
    """Processes to be killed: one server for all tests, as it takes seconds to load."""
    if not hasattr(os, "fork"):
        pytest.skip("victims are forked")
    server = Victims()
    yield server
    server.end()
