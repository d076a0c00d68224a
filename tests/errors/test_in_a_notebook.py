"""In IPython and Jupyter an error of this package shows its three clauses, not forty lines of our own code."""

import contextlib
import io
import traceback

import pytest
from IPython.core.interactiveshell import InteractiveShell

import fedlab_nb as fl
from fedlab_nb import errors

CELL = """import fedlab_nb as fl

def ask():
    return fl.Budget(epsilon=-1)

ask()
"""
SECRET = "73191.25"


@pytest.fixture
def shell():
    made = InteractiveShell.instance()
    yield made
    InteractiveShell.clear_instance()


def shown(shell, cell, mode="Context"):
    """All that a person sees after running ``cell``."""
    shell.run_line_magic("xmode", mode)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        result = shell.run_cell(cell)
    assert result.error_in_exec is not None
    return said.getvalue()


@pytest.mark.parametrize("mode", ["Plain", "Context", "Verbose", "Minimal"])
def test_an_error_shows_its_clauses_one_a_line_in_every_mode(shell, mode):
    lines = shown(shell, CELL, mode).strip().splitlines()
    assert lines == [
        "SettingError",
        "  What        The budget's epsilon is -1, not a positive number.",
        "  Why         Epsilon bounds how much one row can change what is released; it must be above 0 and finite.",
        "  What to do  Agree on a value such as Budget(epsilon=8, delta=1e-3); smaller is more private.",
        "  Where       line 4 of your code",
    ]


def test_no_line_of_a_users_code_is_quoted_because_it_may_hold_a_private_value(shell):
    cell = f"""import pandas as pd, fedlab_nb as fl
fl.DataOwner("A", pd.DataFrame({{"x": [{SECRET}], "y": [None]}}), target="y")
"""
    for mode in ("Plain", "Context", "Verbose"):
        text = shown(shell, cell, mode)
        assert "SchemaError" in text
        assert SECRET not in text
        assert "line 2 of your code" in text


def test_other_errors_are_shown_as_ever(shell):
    text = shown(shell, "1 / 0", "Plain")
    assert "Traceback" in text
    assert "ZeroDivisionError" in text


def test_an_error_that_names_a_party_shows_the_same_clauses():
    error = errors.RoundError("Clinic A", "update", "It happened.\nTwice.", "It matters.", "Do this.")
    (text,) = error._render_traceback_()
    assert text.splitlines() == [
        "RoundError",
        "  What        It happened. Twice.",
        "  Why         It matters.",
        "  What to do  Do this.",
    ], "never raised, so there is no line to name"


def test_in_a_plain_script_nothing_changes():
    with pytest.raises(errors.SettingError) as caught:
        fl.Budget(epsilon=-1)
    text = "".join(traceback.format_exception(caught.value))
    assert text.startswith("Traceback (most recent call last)")
    assert text.endswith(f"fedlab_nb.errors.SettingError: {caught.value}\n")
