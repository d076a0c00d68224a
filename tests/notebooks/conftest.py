"""A kernel of its own for a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

from tests.notebooks.kernel import LIMIT, Kernel


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A fresh kernel in a folder of its own, ended after the test."""
    quiet = ["--log-level=40"]
    manager, client = start_new_kernel(
        kernel_name="python3", startup_timeout=LIMIT, extra_arguments=quiet, cwd=str(tmp_path)
    )
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
