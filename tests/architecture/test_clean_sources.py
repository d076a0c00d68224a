"""Nothing in the repository belongs to one machine, and nothing is left over."""

import re
import subprocess
from pathlib import Path

import pytest

# Assembled, so that this file does not find itself.
MACHINE = re.compile(
    "|".join(["/" + "home/", "/" + "root/", "/" + "Users/", "/" + "opt/", "file:" + "///", "C:" + r"\\"])
)
HOST = re.compile(r"https?://[\w.-]*(?:index|mirror|proxy|artifactory|nexus|pypi)[\w.-]*", re.IGNORECASE)
ALLOWED_INDEX = "https://download.pytorch.org/whl/cpu"
TEXT = {".py", ".md", ".toml", ".txt", ".ipynb", ".css", ".js", ".cfg", ".yml", ".yaml", ""}


def sources(root: Path) -> list[Path]:
    """All files that Git keeps or would keep."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a Git checkout")
    return [root / name for name in done.stdout.splitlines() if (root / name).is_file()]


def test_no_path_of_one_machine_and_no_package_host_is_written_down(root: Path) -> None:
    found = {
        (str(path.relative_to(root)), match.group())
        for path in sources(root)
        if path.suffix in TEXT
        for pattern in (MACHINE, HOST)
        for match in pattern.finditer(path.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_the_one_extra_index_is_that_of_the_cpu_build_of_torch(root: Path) -> None:
    for name in ("run.py", "binder/requirements.txt"):
        text = (root / name).read_text()
        assert set(re.findall(r"https?://[^\s\"']+", text)) == {ALLOWED_INDEX}


def test_no_file_waits_for_somebody_to_finish_it(root: Path) -> None:
    mark = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "Not" + "ImplementedError"]))
    waiting = [path.name for path in sources(root) if path.suffix == ".py" and mark.search(path.read_text())]
    assert waiting == []
