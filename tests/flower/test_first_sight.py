"""The server's log says whose identities were taken as the server showed them, and nothing where all were noted."""

from types import SimpleNamespace

import pytest

from fedlab_nb.flower import server
from tests.flower.deploy.common import with_flower
from tests.flower.net import FIRST, HOLDER, net

__all__ = ["net"]
pytestmark = with_flower


def logged(net, capsys: pytest.CaptureFixture) -> list[str]:
    capsys.readouterr()
    server.server_app(net.app)(net.grid, SimpleNamespace(run_config={"patience": 1.0, "wait": 3.0}))
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("FEDLAB ")]


def test_a_run_among_parties_that_know_each_other_says_nothing(net, capsys: pytest.CaptureFixture) -> None:
    assert [line for line in logged(net(num_rounds=1), capsys) if "ingerprint" in line] == []


def test_a_run_names_those_whose_fingerprints_were_not_noted(net, capsys: pytest.CaptureFixture) -> None:
    run = net(num_rounds=1)
    text = run.settings[FIRST].read_text()
    run.settings[FIRST].write_text(text[: text.rindex("\n[known]\n")])
    run.begin_anew(FIRST)
    first, *rounds = logged(run, capsys)
    name, holder = run.agreement.parties[FIRST - 1], run.agreement.parties[HOLDER - 1]
    assert first.startswith(f"Fingerprints not noted: {name!r} of ")
    assert repr(holder) in first
    assert "could put in keys of its own" in first
    assert rounds[0].startswith("Round 1: ")
