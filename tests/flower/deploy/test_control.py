"""A Control's own folder of Flower's settings, and what it refuses before it asks anybody."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fedlab_nb.errors import DeploymentError, SettingError
from fedlab_nb.flower.deploy import certificates
from fedlab_nb.flower.deploy.console import check_control
from fedlab_nb.flower.deploy.control import Control, RunStatus
from tests.flower.deploy.common import with_flower, write_app

pytestmark = with_flower


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """By which a SuperLink would be known."""
    return certificates.make_authority(tmp_path / "ca").certificate


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The homes of Flower for which commands were given; none is carried out."""
    homes: list[Path] = []

    def begun(*_: Any, env: dict[str, str], **__: Any) -> None:
        homes.append(Path(env["FLWR_HOME"]))

    monkeypatch.setattr(subprocess, "Popen", begun)
    return homes


def address_in(home: Path) -> str:
    links = tomllib.loads((home / "config.toml").read_text())["superlink"]
    return str(links[links["default"]]["address"])


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


def test_a_project_called_lab_beside_the_notebook_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Flower takes a folder of the name that a SuperLink has in its settings for an app, and asks no SuperLink.
    write_app(tmp_path / "lab")
    monkeypatch.chdir(tmp_path)
    certificate = certificates.make_authority(tmp_path / "ca").certificate
    with pytest.raises(DeploymentError, match=r"No SuperLink answers at 127\.0\.0\.1:9"):
        Control("127.0.0.1:9", certificate, tmp_path / "home").runs()


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


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "localhost:",
        "localhost:http",
        ":8000",
        "h:0",
        "h:70000",
        "https://fl.example.org:8000",
        "",
        "h:\u0664",
    ],
)
def test_an_address_has_a_machine_and_a_port(certificate: Path, tmp_path: Path, address: str) -> None:
    with pytest.raises(SettingError, match=re.escape(f"was given as {address!r}")):
        Control(address, certificate, tmp_path / "home")
    assert not (tmp_path / "home").exists()
    assert Control("[::1]:8000", certificate, tmp_path / "home").address == "[::1]:8000"


def test_what_is_no_certificate_is_refused_at_once(certificate: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for wrong in (certificate.with_suffix(".key"), tmp_path / "empty.pem"):
        with pytest.raises(SettingError, match=rf"{wrong.name} cannot be read as a certificate"):
            Control("fl.example.org:8000", wrong, tmp_path / "home")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("number", [-1, 0, 1.5, "7", None, True])
def test_a_run_has_a_whole_number_larger_than_0(
    certificate: Path, tmp_path: Path, asked: list[Path], number: Any
) -> None:
    control = Control("fl.example.org:8000", certificate, tmp_path / "home")
    for act in (control.status, control.stop, lambda given: next(control.log(given))):
        with pytest.raises(SettingError, match=f"number of a run was given as {number!r}"):
            act(number)
    assert asked == []


@pytest.mark.parametrize(("given", "named"), [(Control, "The class Control"), (None, "None"), ("lab", "'lab'")])
def test_what_drives_no_superlink_is_refused(given: Any, named: str) -> None:
    with pytest.raises(SettingError, match=f"^{named} was given as the control of a SuperLink"):
        check_control(given)


def test_a_control_drives_a_superlink(certificate: Path, tmp_path: Path) -> None:
    check_control(Control("fl.example.org:8000", certificate, tmp_path / "home"))


def test_an_app_that_is_no_path_is_refused_with_words(certificate: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="app was given as None"):
        Control("fl.example.org:8000", certificate, tmp_path / "home").run(None)  # type: ignore[arg-type]


class Command:
    """A command of Flower's that prints ``said``, or is interrupted while it works."""

    def __init__(self, said: str | None) -> None:
        self.said, self.returncode = said, None if said is None else 0

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        if self.said is None and self.returncode is None:
            raise KeyboardInterrupt
        return self.said or "", ""

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.returncode = -9


def control_of(said: str | None, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Control:
    control = Control("fl.example.org:8000", certificate, certificate.parent / "home")
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Command(said))
    return control


def test_whoever_is_interrupted_while_a_run_starts_is_told_how_to_find_it(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        control_of(None, certificate, monkeypatch).run("app")
    (note,) = caught.value.__notes__
    assert "control.runs() lists the runs there, the latest first" in note
    assert "control.stop(number)" in note


def test_a_run_that_was_refused_has_not_begun(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.dumps({"success": False, "error-message": "[code: 15] Invalid run configuration."})
    with pytest.raises(DeploymentError, match="does not know one of the settings") as caught:
        control_of(said, certificate, monkeypatch).run("app")
    assert not hasattr(caught.value, "__notes__")


def test_runs_are_listed_as_the_superlink_says(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [
        {"run-id": "7", "status": "running", "status-details": "N/A", "elapsed": 2.5},
        {
            "run-id": "3",
            "status": "finished:failed",
            "status-details": "no rows",
            "elapsed": 9.0,
            "network-traffic": {"inbound-bytes": 5, "outbound-bytes": 6},
        },
    ]
    control = control_of(json.dumps({"success": True, "runs": runs}), certificate, monkeypatch)
    assert control.runs() == (RunStatus(7, "running", "", 2.5, 0, 0), RunStatus(3, "failed", "no rows", 9.0, 5, 6))


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
