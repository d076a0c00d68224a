"""Logs say whose identities were taken as the server showed them, the server's and the sites'; else nothing."""

import re
import tempfile
from types import SimpleNamespace

import pytest

from fedlab_nb.flower import server
from fedlab_nb.flower.party.place import Place
from fedlab_nb.flower.party.relay import handed_over
from tests.flower.deploy.common import until, with_flower
from tests.flower.net import FIRST, HOLDER, SECOND, net

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


def forget(run, node):
    """The site of a party notes nobody's fingerprint any more; the fingerprints that it had noted, by party."""
    text = run.settings[node].read_text()
    head, noted = text.split("\n[known]\n")
    run.settings[node].write_text(head)
    run.begin_anew(node)
    return dict(re.findall(r'^"?([^"=]+?)"? = "([0-9a-f]{64})"$', noted, re.MULTILINE))


def test_a_party_says_once_whom_it_took_on_the_servers_word_and_by_which_fingerprint(net) -> None:
    run = net(num_rounds=2)
    noted = forget(run, FIRST)
    assert run.parties[FIRST].take_words() == []
    assert list(run.told())[-1].error is None
    lines = run.parties[FIRST].take_words()
    others = [name for name in run.agreement.parties if name != run.agreement.parties[FIRST - 1]]
    assert len(lines) == len(others) == len(noted)
    for name in others:
        (line,) = [line for line in lines if f"the fingerprint of {name!r}" in line]
        assert noted[name] in line
    assert run.parties[FIRST].take_words() == []
    assert run.parties[SECOND].take_words() == []


def test_nothing_is_said_where_nothing_is_sealed(net) -> None:
    run = net(num_rounds=1, encrypt=None)
    forget(run, FIRST)
    assert list(run.told())[-1].error is None
    assert run.parties[FIRST].take_words() == []


# Whoever started it does not wait for its end: the party's process outlives Flower's.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_what_the_partys_process_says_is_printed_by_the_relay(net, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run = net(num_rounds=1)
    noted = forget(run, FIRST)
    place = Place(run.settings[FIRST], "1")
    run.grid.parties[FIRST] = lambda data: handed_over(place, run.app, data)
    capsys.readouterr()
    assert list(run.told())[-1].error is None
    printed = capsys.readouterr().out.splitlines()
    for name, fingerprint in noted.items():
        assert any(f"the fingerprint of {name!r}" in line and fingerprint in line for line in printed)
    assert len(printed) == len(noted)
    assert until(lambda: not place.folder.exists(), 30.0)
