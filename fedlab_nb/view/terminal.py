"""What to do where there is no page: know it, print plain lines, and show a card as text."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """Something that shows as HTML in a notebook and prints as text everywhere else."""

    text: str
    html: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


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
