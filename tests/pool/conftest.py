"""Pools of real processes, begun once for all these tests and ended with them; and unspent budgets for each test."""

import os
from contextlib import ExitStack

import pytest

from tests.pool.common import HOW
from tests.rounds.common import fresh_accounts

__all__ = ["fresh_accounts"]


@pytest.fixture(scope="session")
def pool_of():
    """A pool with so many workers; the same one for the same number."""
    pytest.importorskip("distributed", reason=HOW)
    from fedlab_nb.pool import Pool

    made = {}
    with ExitStack() as stack:
        yield lambda workers: made.get(workers) or made.setdefault(workers, stack.enter_context(Pool(workers)))


@pytest.fixture
def lone(pool_of):
    """A pool for one test alone, which may end it, and the process numbers of its two workers."""
    from fedlab_nb.pool import Pool

    with Pool(2) as pool:
        yield pool, pids(pool)


def pids(pool):
    """The process numbers of the workers."""
    return sorted(pool._client.run(os.getpid).values())
