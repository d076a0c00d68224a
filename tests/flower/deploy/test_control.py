"""A Control's own folder of Flower's settings, and what it refuses before it asks anybody."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.deploy.control import Control
from tests.flower.deploy.common import with_flower

pytestmark = with_flower


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """By which a SuperLink would be known."""
    path = tmp_path / "ca.pem"
    path.write_text("")
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The homes of Flower for which commands were given; none is carried out."""
    homes: list[Path] = []

    def begun(*_: Any, env: dict[str, str], **__: Any) -> None:
        homes.append(Path(env["FLWR_HOME"]))

    monkeypatch.setattr(subprocess, "Popen", begun)
    return homes


def address_in(home: Path) -> str:
    link = tomllib.loads((home / "config.toml").read_text())["superlink"]["lab"]
    return str(link["address"])


def test_two_with_one_home_ask_each_its_own_superlink(certificate: Path, tmp_path: Path, asked: list[Path]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text("mine")
    one = Control("one.example.org:8000", certificate, home)
    other = Control("other.example.org:8000", certificate, home)
    again = Control("one.example.org:8000", certificate, home)
    for control in (one, other, again):
        control.registering(tmp_path / "node.pub", "north")
    assert [address_in(path) for path in asked] == [c.address for c in (one, other, again)]
    assert (home / "config.toml").read_text() == "mine"


def test_paths_may_be_texts(certificate: Path, tmp_path: Path, asked: list[Path]) -> None:
    control = Control("fl.example.org:8000", str(certificate), os.path.relpath(tmp_path / "home"))
    assert control.root_certificate == certificate
    control.registering(str(tmp_path / "node.pub"), "north")
    assert asked[0].is_absolute()
    assert asked[0].resolve().is_relative_to((tmp_path / "home").resolve())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((None, "ca.pem", "home"), "The address of a SuperLink was given as None"),
        (("fl.example.org:8000", None, "home"), "root_certificate was given as None"),
        (("fl.example.org:8000", "ca.pem", 3), "home was given as 3"),
    ],
)
def test_what_is_no_path_or_address_is_refused_with_words(given: tuple[Any, Any, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        Control(*given)


def test_an_app_that_is_no_path_is_refused_with_words(certificate: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="app was given as None"):
        Control("fl.example.org:8000", certificate, tmp_path / "home").run(None)  # type: ignore[arg-type]


def test_where_its_settings_were_removed_flower_is_not_asked_and_writes_nothing(
    certificate: Path, tmp_path: Path, asked: list[Path]
) -> None:
    control = Control("fl.example.org:8000", certificate, tmp_path / "home")
    shutil.rmtree(tmp_path / "home")
    with pytest.raises(SettingError, match="Make another Control"):
        control.nodes()
    with pytest.raises(SettingError, match="were removed"):
        next(control.log(7))
    assert asked == []
    assert not (tmp_path / "home").exists()
