"""Binder: the environment that its own files describe runs every notebook, in the memory that a visitor is given."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest

from tests.binder.conftest import Place

pytestmark = pytest.mark.slow

LOG = logging.getLogger(__name__)  # pytest --log-cli-level=INFO shows what was measured
# All but the one that starts a process for every party: it needs 3 GB, and Flower.
NOTEBOOKS = sorted(path.name for path in (Path(__file__).resolve().parents[2] / "notebooks").glob("0[0-8]*.ipynb"))
REPO2DOCKER = "jupyter-repo2docker==2026.4.0"
# What mybinder.org guarantees a visitor; at twice as much it ends the kernel.
LIMIT = 1e9
CELL_SECONDS, LOOK_EVERY, END_SECONDS = 300, 0.1, 20
# A visitor's pod holds the server and one kernel.
SERVER = (
    "jupyter",
    "lab",
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--ServerApp.port=0",
    "--IdentityProvider.token=",
)


def resident(roots: list[psutil.Process]) -> int:
    """Bytes in memory of these processes and all that they started, what they share counted once for each."""
    total = 0
    for root in roots:
        with suppress(psutil.NoSuchProcess):
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss
    return total


def started(place: Place, *command: str, log: Path) -> psutil.Popen:
    """A command under ``binder/start``, as a visitor's session runs it."""
    with log.open("wb") as out:
        return psutil.Popen(
            ["./binder/start", *command], cwd=place.folder, env=place.variables, stdout=out, stderr=subprocess.STDOUT
        )


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_runs_to_its_end_in_a_visitors_memory(binder: Place, name: str, tmp_path: Path) -> None:
    server = started(binder, *SERVER, log=tmp_path / "server.log")
    done, log = tmp_path / name, tmp_path / "run.log"
    execute = ("jupyter", "execute", f"--timeout={CELL_SECONDS}", f"--output={done}", f"notebooks/{name}")
    peak = 0
    try:
        running = started(binder, *execute, log=log)
        while running.poll() is None:
            peak = max(peak, resident([server, running]))
            time.sleep(LOOK_EVERY)
        assert server.poll() is None, (tmp_path / "server.log").read_text()[-2000:]
    finally:
        server.terminate()
        server.wait(END_SECONDS)
    assert running.returncode == 0, log.read_text()[-3000:]
    code = [cell for cell in nbformat.read(done, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    LOG.info("%s: %.0f MB resident at most, server, client and kernel together", name, peak / 1e6)
    assert 1e8 < peak < LIMIT


def test_the_package_in_it_is_the_installed_one_and_its_parts_fit_together(binder: Place, tmp_path: Path) -> None:
    elsewhere = Place(binder.venv, tmp_path)
    told = elsewhere.call("python", "-c", "import fedlab_nb, torch; print(fedlab_nb.__file__, torch.version.cuda)")
    assert told.returncode == 0, told.stdout
    file, cuda = told.stdout.split()
    assert Path(file).is_relative_to(binder.venv)
    assert cuda == "None", "a build for graphics cards takes several gigabytes that a visitor's image does not have"
    checked = binder.call("pip", "check")
    assert checked.returncode == 0, checked.stdout


def test_the_image_is_built_in_an_order_that_keeps_its_slow_part_over_changes_of_the_code(
    new_place: Callable[[Path], Place], clean_copy: Path
) -> None:
    tool = new_place(clean_copy)
    installed = tool.call("pip", "install", "-q", REPO2DOCKER)
    assert installed.returncode == 0, installed.stdout[-2000:]
    planned = tool.call("jupyter-repo2docker", "--no-build", "--debug", os.curdir)
    assert planned.returncode == 0, planned.stdout[-2000:]
    steps = (
        "environment.py-3.11",
        "COPY --chown=0:0 src/binder/requirements.txt",
        '/bin/pip install --no-cache-dir -r "binder/requirements.txt"',
        "COPY --chown=0:0 src/ ",
        "RUN ./binder/postBuild",
        'R2D_ENTRYPOINT="${REPO_DIR}/binder/start"',
    )
    # File names stand in the plan with their signs written as numbers.
    plan = planned.stdout.replace("-2d", "-").replace("-2e", ".")
    places = [plan.find(step) for step in steps]
    assert -1 not in places, dict(zip(steps, places, strict=True))
    assert places == sorted(places)
