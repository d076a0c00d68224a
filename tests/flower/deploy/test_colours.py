"""In a notebook's kernel programs are told to print in colours, which is not how a program reads them."""

import subprocess
import sys
from pathlib import Path

import pytest

from fedlab_nb.flower.deploy.console import Console
from fedlab_nb.flower.deploy.processes import environment

COLOURED = (
    r"""print('\x1b[1m{\x1b[0m\n \x1b[1;34m"success"\x1b[0m: \x1b[3;92mtrue\x1b[0m,\n "run-id": "\x1b[32m7\x1b[0m"}')"""
)


def test_programs_are_not_told_to_print_in_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LANG", "C.UTF-8")
    variables = environment(tmp_path)
    assert variables["LANG"] == "C.UTF-8"
    assert [name for name in variables if "COLOR" in name] == []


def test_an_answer_in_colours_is_read_all_the_same(tmp_path: Path) -> None:
    console = Console("127.0.0.1:8000", tmp_path / "ca.pem", tmp_path / "home", {})
    asked = subprocess.Popen(
        [sys.executable, "-c", COLOURED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    assert console.answer("starting a run", asked) == {"success": True, "run-id": "7"}
