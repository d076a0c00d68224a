"""Which front end shows our output, what can live there, and plain lines where nothing can."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class FrontEnd:
    """A front end, and what is to be expected of it.

    ``live`` says that a dashboard can change while a run goes on, ``buttons`` that clicks reach the run, ``html`` that
    cards and pictures are shown; ``note`` says the same in a sentence.
    """

    name: str
    live: bool
    buttons: bool
    html: bool
    note: str


_LIVE = "The dashboard is live and its buttons work."
SCRIPT = FrontEnd(
    "a script", False, False, False, "train() computes until the end and prints one line a round; nothing is drawn."
)
TERMINAL = FrontEnd(
    "IPython in a terminal",
    False,
    False,
    False,
    "train() computes until the end and prints one line a round; a terminal shows no pictures.",
)
PAPERMILL = FrontEnd(
    "papermill", False, False, True, "Nobody watches: the notebook keeps the final picture and table of every run."
)
VS_CODE = FrontEnd(
    "VS Code", True, True, True, f"{_LIVE} VS Code may ask once whether widgets may load their scripts: allow it."
)
COLAB = FrontEnd(
    "Google Colab",
    True,
    True,
    True,
    f"{_LIVE} Colab loads the code of such widgets from the web.",
)
BINDER = FrontEnd(
    "Binder",
    True,
    True,
    True,
    f"{_LIVE} Binder ends a session that is idle for about ten minutes, and keeps no file: download what you need.",
)
JUPYTER = FrontEnd("Jupyter (Lab or Notebook)", True, True, True, _LIVE)
KERNEL = FrontEnd(
    "a Jupyter kernel",
    True,
    True,
    True,
    "If a page shows this notebook, the dashboard is live and its buttons work; if none does (nbclient, nbconvert), "
    "the notebook keeps the final picture and table.",
)


def front_end() -> FrontEnd:
    """The front end that runs this process, as far as facts tell; a guess is never made."""
    shell = _shell()
    if shell is None:
        return SCRIPT
    if getattr(shell, "kernel", None) is None:
        return TERMINAL
    return _client(set(getattr(shell, "user_ns", {})))


def in_kernel() -> bool:
    """True inside a Jupyter kernel, where widgets can live; False in a script and in a terminal."""
    return getattr(_shell(), "kernel", None) is not None


def prepare_front_end() -> None:
    """Have the page ready for widgets of our own: Colab has to be asked to show them, all others do so anyway."""
    if front_end() is COLAB:
        import_module("google.colab.output").enable_custom_widget_manager()


def say(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _shell() -> Any:
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _client(variables: set[str]) -> FrontEnd:
    """Who talks to this kernel; the surest sign comes first.

    A server on Colab, on Binder or of Jupyter can be used from VS Code too, which leaves a variable in the notebook;
    and Jupyter started in a terminal of VS Code inherits its environment, but names the session.
    """
    session = os.environ.get("JPY_SESSION_NAME", "")
    if "__vsc_ipynb_file__" in variables or "-jvsc-" in session:
        return VS_CODE
    if {"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"} & variables:
        return PAPERMILL
    if "google.colab" in sys.modules:
        return COLAB
    if any(name in os.environ for name in ("BINDER_LAUNCH_HOST", "BINDER_REPO_URL", "BINDER_SERVICE_HOST")):
        return BINDER
    if session:
        return JUPYTER
    if "VSCODE_PID" in os.environ or "VSCODE_CWD" in os.environ:
        return VS_CODE
    return KERNEL
