"""A party's process has asked no frame and imported no more than its program does: it knows all questions even so."""

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import fedlab_nb.analytics
from fedlab_nb.analytics.apart import asked
from fedlab_nb.flower.party.place import PARTY
from tests.flower.deploy.common import with_flower

_TELL = f"import {PARTY}; from {asked.__name__} import _KINDS; print(*sorted(_KINDS), sep=chr(10))"


@pytest.fixture(scope="module")
def kinds() -> list[str]:
    """Of all questions that there are."""
    for found in pkgutil.walk_packages(fedlab_nb.analytics.__path__, "fedlab_nb.analytics."):
        import_module(found.name)
    return sorted(asked._KINDS)


@with_flower
def test_a_process_that_only_runs_a_partys_program_knows_all_questions(kinds: list[str]) -> None:
    there = subprocess.run([sys.executable, "-c", _TELL], capture_output=True, text=True, check=True).stdout
    assert {"correlations across owners", "selection of columns", "description"} <= {*kinds}
    assert there.splitlines() == kinds
