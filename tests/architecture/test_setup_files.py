"""The two commands, Binder and the constraints tell the same story as pyproject.toml."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import run


def pins(path: Path) -> dict[str, Version]:
    """Name to version of every line that is a pin."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith(("#", "--"))]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), lines
    return {name: Version(version) for name, version in (line.split("==") for line in lines)}


def wanted(root: Path, *, with_tests: bool) -> list[Requirement]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return [
        Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["test"] * with_tests
    ]


def test_the_constraints_pin_every_dependency_within_its_range(root: Path) -> None:
    pinned = pins(root / "constraints.txt")
    for requirement in wanted(root, with_tests=True):
        assert requirement.specifier.contains(pinned[requirement.name]), requirement


def test_binder_pins_every_dependency_as_the_constraints_do_and_not_the_package_itself(root: Path) -> None:
    pinned, binder = pins(root / "constraints.txt"), pins(root / "binder" / "requirements.txt")
    assert {requirement.name for requirement in wanted(root, with_tests=False)} == set(binder)
    assert binder.items() <= pinned.items()


def test_every_command_installs_the_same_torch(root: Path) -> None:
    assert pins(root / "constraints.txt")["torch"] == Version(run.TORCH)


@pytest.mark.parametrize("name", ["binder/postBuild", "binder/start", ".ci/run"])
def test_scripts_can_be_executed_and_parse(root: Path, name: str) -> None:
    assert os.access(root / name, os.X_OK)
    subprocess.run(["bash", "-n", str(root / name)], check=True)


def test_binder_starts_what_it_is_given_and_runs_a_python_that_is_supported(root: Path) -> None:
    assert 'exec "$@"' in (root / "binder" / "start").read_text()
    assert (root / "binder" / "runtime.txt").read_text().strip() == "python-3.11"


def test_the_ci_script_calls_the_test_command(root: Path) -> None:
    assert "python3 run.py test" in (root / ".ci" / "run").read_text()


def test_the_setup_is_repeated_when_a_dependency_changes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    monkeypatch.setattr(run, "ROOT", tmp_path)
    before = run.fingerprint()
    assert run.fingerprint() == before
    (tmp_path / "constraints.txt").write_text("numpy==1.0\n")
    assert run.fingerprint() != before


def test_an_environment_with_the_tests_also_serves_the_main_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "VENV", tmp_path)
    assert not run.is_ready("")
    run.python_in(tmp_path).parent.mkdir()
    run.python_in(tmp_path).touch()
    stamp = tmp_path / "fedlab-stamp"
    stamp.write_text(f"{run.fingerprint()} ")
    assert run.is_ready("")
    assert not run.is_ready("test")
    stamp.write_text(f"{run.fingerprint()} test")
    assert run.is_ready("")
    assert run.is_ready("test")
    stamp.write_text("another test")
    assert not run.is_ready("test")


def test_too_little_space_is_said_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "VENV", tmp_path / "new")
    monkeypatch.setattr(run, "NEEDED_GB", 10**9)
    with pytest.raises(run.SetupError, match="FEDLAB_VENV"):
        run.check_machine()


def test_a_python_without_venv_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(run.SetupError, match=r"apt install python3\.\d+-venv"):
        run.check_machine()


def test_a_failing_pip_shows_the_end_of_its_message_and_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'no matching distribution' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(run, "VENV", tmp_path)
    with pytest.raises(run.SetupError, match=r"no matching distribution[\s\S]*Is the network up"):
        run.pip("torch", hint="Is the network up?")


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"]])
def test_an_unknown_command_prints_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(arguments) == 2
    assert "python run.py test" in capsys.readouterr().out


def test_without_a_screen_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    assert not run.has_screen()
    monkeypatch.delenv("CI")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not run.has_screen()


def test_the_browser_is_the_named_one_or_the_first_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    assert run.find_chromium() is None
    other = tmp_path / "my-chromium"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("CHROMIUM", str(other))
    assert run.find_chromium() == str(other)
