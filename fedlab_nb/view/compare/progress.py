"""One line that says how far something long is, while a cell or a script waits for it."""

from __future__ import annotations

import sys
import time
from typing import Any

from fedlab_nb.view.frontend import in_kernel, say

# Seconds between two changes of the line at least.
EVERY = 0.2


class ProgressLine:
    """A line that changes in place in a notebook or a terminal; elsewhere only what was ``settled`` is printed."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._kernel, self._terminal = in_kernel(), sys.stdout.isatty()
        self._next, self._length = 0.0, 0

    def show(self, words: str) -> None:
        """Change the line, not too often."""
        if (self._kernel or self._terminal) and time.monotonic() >= self._next:
            self._put(words)
            self._next = time.monotonic() + EVERY

    def settle(self, words: str) -> None:
        """Say that a part is done."""
        if self._kernel or self._terminal:
            self._put(words)
        else:
            say(words)

    def end(self, words: str) -> None:
        """The last state of the line, which stays."""
        self.settle(words)
        if self._terminal and not self._kernel:
            say("")

    def _put(self, words: str) -> None:
        if not self._kernel:
            sys.stdout.write(f"\r{words:<{self._length}}")
            sys.stdout.flush()
            self._length = len(words)
        elif self._handle is None:
            from IPython.display import display

            put: Any = display
            self._handle = put({"text/plain": words}, raw=True, display_id=True)
        else:
            self._handle.update({"text/plain": words}, raw=True)
