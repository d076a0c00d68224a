"""Programs: watched by what they print, paused, ended with all that they started, and nothing else."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fedlab_nb.errors import FedLabError, SettingError
from fedlab_nb.flower.deploy.guard.tree import end_written, set_guard
from fedlab_nb.flower.deploy.processes import Program, end, environment, executable
from tests.flower.deploy.common import living, python, until

Start = Callable[..., Program]

# A program with a child in a session of its own and a grandchild, as a SuperLink has.
FAMILY = """
import subprocess, sys, time
child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
subprocess.Popen([sys.executable, "-c", child + "time.sleep(600)"], start_new_session=True)
print("ready: 42", flush=True)
time.sleep(600)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start ``code``; whatever is left is ended after the test."""
    programs: list[Program] = []

    def begin(code: str, name: str = "It") -> Program:
        program = Program(name, python(code), environment(tmp_path / "home"), tmp_path / "logs" / f"{name}.log")
        programs.append(program)
        return program

    yield begin
    end(programs, grace=0)


def family(start: Start) -> Program:
    """A program whose child and grandchild are there."""
    program = start(FAMILY)
    assert program.wait_for("ready:", 60) == "42"
    assert until(lambda: len(program.processes()) == 3)
    return program


def test_end_also_ends_what_was_started_in_other_sessions(start: Start) -> None:
    program = family(start)
    pids = [process.pid for process in program.processes()]
    assert pids[0] == program.pid
    end([program])
    assert living(pids) == []
    assert not program.running
    end([program])


def test_kill_needs_nobodys_consent(start: Start) -> None:
    program = start(f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{FAMILY}")
    program.wait_for("ready:", 60)
    pids = [process.pid for process in program.processes()]
    program.kill()
    assert living(pids) == []


def test_a_program_that_ends_by_itself_may_say_goodbye(start: Start) -> None:
    program = start(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('goodbye'), sys.exit()))\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    program.wait_for("ready", 60)
    end([program], grace=60)
    assert program.said().splitlines() == ["ready", "goodbye"]


def test_a_paused_program_stands_still_with_its_children_and_can_still_be_ended(start: Start) -> None:
    program = family(start)
    program.pause()
    assert until(lambda: {process.status() for process in program.processes()} == {psutil.STATUS_STOPPED})
    program.resume()
    assert until(lambda: psutil.STATUS_STOPPED not in {process.status() for process in program.processes()})
    program.pause()
    pids = [process.pid for process in program.processes()]
    end([program], grace=60)
    assert living(pids) == []


def test_what_a_broken_session_left_is_ended_by_number_and_moment(start: Start, tmp_path: Path) -> None:
    program, other = family(start), start("import time; time.sleep(600)", "Other")
    pids = [process.pid for process in program.processes()]
    pid, created = other.number
    file = tmp_path / "numbers.json"
    file.write_text(json.dumps([program.number, (pid, created + 1), (2**22 + 1, created)]))
    end_written(file)
    assert living(pids) == []
    assert living([pid]) == [pid]
    assert not file.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from fedlab_nb.flower.deploy.guard.tree import set_guard
from fedlab_nb.flower.deploy.processes import Program, write_numbers
folder = Path(sys.argv[1])
folder.mkdir()
guard = set_guard(folder / "numbers.json", folder)
program = Program("Left", [sys.executable, "-c", sys.argv[2]], os.environ, folder / "left.log")
program.wait_for("ready:", 60)
while len(program.processes()) < 3:
    pass
write_numbers(folder / "numbers.json", [program])
print(guard.pid, *[process.pid for process in program.processes()], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_guard_ends_what_a_killed_process_left(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    done = subprocess.run([*python(KILLED), str(folder), FAMILY], capture_output=True, text=True, check=False)
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 4, done.stderr
    assert until(lambda: living(pids) == [])
    assert not folder.exists()


def test_a_guard_that_is_not_needed_goes(start: Start, tmp_path: Path) -> None:
    program = start("import time; time.sleep(600)")
    guard = set_guard(tmp_path / "none.json")
    guard.communicate()
    assert guard.returncode == 0
    assert program.running


def test_waiting_ends_with_the_program_and_says_its_last_words(start: Start) -> None:
    program = start("print('INFO: hello'); print('the port is missing'); raise SystemExit(3)")
    with pytest.raises(FedLabError, match=r"It ended before it was ready\..* said last: the port is missing\."):
        program.wait_for("ready", 60)


def test_waiting_ends_with_its_time(start: Start) -> None:
    program = start("import time; time.sleep(600)")
    with pytest.raises(FedLabError, match=r"It was not ready within 0\.2 seconds\..* said last: nothing\."):
        program.wait_for("ready", 0.2)


def test_a_second_start_reads_only_its_own_words(start: Start) -> None:
    end([start("print('ready: 1', flush=True); import time; time.sleep(600)")], grace=0)
    assert start("print('ready: 2', flush=True); import time; time.sleep(600)").wait_for("ready:", 60) == "2"


def test_flower_is_told_to_keep_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLWR_TELEMETRY_ENABLED", "1")
    monkeypatch.setenv("FLWR_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("https_proxy", "proxy.example.org")
    variables = environment(tmp_path / "home", {"OMP_NUM_THREADS": "1"}, local=True)
    flower = {name: value for name, value in variables.items() if name.startswith("FLWR_")}
    assert flower == {
        "FLWR_HOME": str(tmp_path / "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.2",
    }
    assert variables["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert variables["OMP_NUM_THREADS"] == "1"
    assert "https_proxy" not in variables
    assert environment(tmp_path / "home")["https_proxy"] == "proxy.example.org"


def test_without_flower_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(SettingError, match=r'pip install "fedlab-nb\[flower\]"'):
        executable("flower-superlink")


def test_another_version_of_flower_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flower-superlink").write_text("")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.41.0")
    with pytest.raises(SettingError, match=r"Flower 1\.41\.0 is installed, not 1\.42\..* pip install"):
        executable("flower-superlink")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.42.7")
    assert executable("flower-superlink") == str(tmp_path / "flower-superlink")
