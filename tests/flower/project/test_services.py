"""The units of the guide are such that systemd takes them, and they start what README.md starts."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

import fedlab_nb as fl
from fedlab_nb.flower.project import export
from fedlab_nb.flower.project.pages import services_page
from tests.flower.project.common import federation
from tests.flower.project.test_commands import commands

HOME = "/srv/fedlab"
UNITS = {"fedlab-superlink", "fedlab-superexec", "fedlab-supernode"}
with_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


@pytest.fixture
def pages(tmp_path: Path) -> dict[str, str]:
    project = export(federation(), fl.FedAvg(fl.models.logistic()), tmp_path / "lab").folder
    return {name: (project / name).read_text() for name in ("README.md", "SERVICES.md")}


def units(page: str) -> dict[str, str]:
    """The text of each unit, by its name."""
    return dict(re.findall(r"system/(fedlab-\w+)\.service`[^`]*```ini\n(.*?)```", page, re.DOTALL))


def read(text: str) -> configparser.RawConfigParser:
    # systemd adds up lines that come again, and goes on after a backslash.
    lines = text.replace("\\\n", " ").splitlines()
    once = [line for line in lines if not line.startswith("Environment=PATH")]
    parsed = configparser.RawConfigParser(delimiters=["="], comment_prefixes=["#"])
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string("\n".join(once))
    return parsed


def started(text: str) -> list[str]:
    return shlex.split(read(text)["Service"]["ExecStart"])


def test_units_start_what_the_readme_starts_in_the_same_environment(pages: dict[str, str]) -> None:
    found = units(pages["SERVICES.md"])
    assert found.keys() == UNITS
    by_hand = [command for command in commands(pages["README.md"]) if command[0].startswith("flower-")]
    programs = f"{HOME}/fedlab/bin/"
    assert [started(text) for text in found.values()] == [[programs + name, *more] for name, *more in by_hand]
    exported = next(command for command in commands(pages["README.md"]) if command[0] == "export")
    for text in found.values():
        there = dict(word.split("=", 1) for word in read(text)["Service"]["Environment"].split())
        assert there == {**dict(word.split("=", 1) for word in exported[1:]), "FLWR_HOME": f"{HOME}/flower-home"}
        assert f"Environment=PATH={programs[:-1]}:/usr/bin:/bin PYTHONUNBUFFERED=1\n" in text


def test_units_run_without_rights_and_again_after_a_failure(pages: dict[str, str]) -> None:
    for text in units(pages["SERVICES.md"]).values():
        service = read(text)["Service"]
        assert (service["User"], service["WorkingDirectory"]) == ("fedlab", HOME)
        assert (service["UMask"], service["NoNewPrivileges"], service["Restart"]) == ("0077", "yes", "on-failure")
        assert (service["ProtectSystem"], service["ReadWritePaths"]) == ("strict", HOME)
        # A SuperLink would wait for whoever reads a log, and systemd a minute and a half for the SuperLink.
        assert service["TimeoutStopSec"] == "10"
        assert read(text)["Install"]["WantedBy"] == "multi-user.target"


def filled_in(text: str, place: Path) -> str:
    """A unit as an administrator has it, in a folder where its program is there."""
    program = place / Path(started(text)[0]).relative_to(HOME)
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch(mode=0o755)
    text = text.replace("fl.example.org", "fl.clinic.example").replace("# EnvironmentFile=", "EnvironmentFile=")
    return text.replace(HOME, str(place))


def verified(found: dict[str, str], place: Path) -> str:
    """What systemd has to say about the units."""
    files = [place / f"{name}.service" for name in found]
    for file, text in zip(files, found.values(), strict=True):
        file.write_text(filled_in(text, place))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"ended with {done.returncode}")


@with_systemd
def test_systemd_has_nothing_to_say_about_the_units(pages: dict[str, str], tmp_path: Path) -> None:
    assert verified(units(pages["SERVICES.md"]), tmp_path) == ""


@with_systemd
@pytest.mark.parametrize(
    ("written", "mistaken", "named"),
    [
        ("TimeoutStopSec=", "StopsAfter=", "StopsAfter"),
        ("Restart=on-failure", "Restart=sometimes", "sometimes"),
        ("[Install]", "[Installed]", "Installed"),
    ],
)
def test_a_mistake_in_any_unit_would_be_noticed(
    pages: dict[str, str], tmp_path: Path, written: str, mistaken: str, named: str
) -> None:
    found = {name: text.replace(written, mistaken) for name, text in units(pages["SERVICES.md"]).items()}
    complaints = [line for line in verified(found, tmp_path).splitlines() if named in line]
    assert {name for name in UNITS for line in complaints if f"{name}.service" in line} == UNITS


def test_the_proxy_passes_on_what_sites_ask_and_nothing_else(pages: dict[str, str]) -> None:
    (proxy,) = re.findall(r"```nginx\n(.*?)```", pages["SERVICES.md"], re.DOTALL)
    locations = dict(re.findall(r"location (\S+) \{\n(.*?)\n    \}", proxy, re.DOTALL))
    assert locations.keys() == {"/v1/fleet/", "/"}
    assert locations["/"].split() == ["return", "404;"]
    assert "proxy_pass https://127.0.0.1:8000;" in locations["/v1/fleet/"]
    assert "proxy_ssl_verify on;" in locations["/v1/fleet/"]
    assert "ssl_certificate_key /srv/fedlab/superlink.key;" in proxy


def test_the_guide_is_short_and_the_readme_names_it(pages: dict[str, str]) -> None:
    assert pages["SERVICES.md"] == services_page()
    assert len(pages["SERVICES.md"].split()) < 800
    assert pages["README.md"].count("SERVICES.md") == 2
    assert "%(" not in pages["SERVICES.md"]
