"""A clean copy of the repository, and the environment that Binder would build from the files in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import run

BUILD_SECONDS = 1500
# An index that is away costs one short attempt a package, not five long ones.
SHORT = {"PIP_RETRIES": "0", "PIP_DEFAULT_TIMEOUT": "10", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@dataclass(frozen=True)
class Place:
    """An environment and a folder to work in."""

    venv: Path
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of somebody who has activated it, and who has nothing installed elsewhere."""
        path = f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return {**kept, **SHORT, "PATH": path, "VIRTUAL_ENV": str(self.venv), "HOME": str(self.venv.parent)}

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )


@pytest.fixture(scope="session")
def clean_copy(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository as Git has them, with those that are new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    copy = tmp_path_factory.mktemp("clean")
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def new_place(root: Path, clean_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Place]:
    """A fresh environment of the Python that Binder is told to use; skips where packages cannot be had at all."""
    version = (root / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    mine = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = sys.executable if mine == version else shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"Binder runs Python {version}, which is not on this machine (this is {mine})")

    def make(folder: Path) -> Place:
        venv = tmp_path_factory.mktemp("binder") / "venv"
        subprocess.run([python, "-m", "venv", str(venv)], check=True)
        place = Place(venv, folder)
        pin = next(
            line for line in (root / "constraints.txt").read_text().splitlines() if line.startswith("packaging==")
        )
        tried = place.call(str(run.python_in(venv)), "-m", "pip", "install", "-q", "--no-deps", pin)
        if tried.returncode:
            pytest.skip(f"no packages can be installed here: {tried.stdout.strip()[-300:]}")
        return place

    return make


@pytest.fixture(scope="session")
def binder(new_place: Callable[[Path], Place], clean_copy: Path) -> Place:
    """What a visitor of Binder gets: the requirements, then ``postBuild``, both from ``binder/`` itself."""
    place = new_place(clean_copy)
    for command in (["pip", "install", "--no-cache-dir", "-r", "binder/requirements.txt"], ["./binder/postBuild"]):
        done = place.call(*command)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}"
    return place
