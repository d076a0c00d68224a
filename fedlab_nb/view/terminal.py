"""What to do where there is no page: know it, and print plain lines."""

from __future__ import annotations

import sys


def in_kernel() -> bool:
    """True inside a Jupyter kernel, where widgets can live; False in a script and in a terminal."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
