"""A kernel of its own for a test."""

from collections.abc import Iterator

import pytest
from jupyter_client.manager import start_new_kernel

from tests.notebooks.kernel import LIMIT, Kernel


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """A fresh kernel, ended after the test."""
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=LIMIT, extra_arguments=["--log-level=40"])
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
