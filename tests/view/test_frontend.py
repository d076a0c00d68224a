"""Each front end is told by facts; a stub stands for what cannot run here."""

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from fedlab_nb.view import frontend
from fedlab_nb.view.frontend import (
    BINDER,
    COLAB,
    JUPYTER,
    KERNEL,
    PAPERMILL,
    SCRIPT,
    TERMINAL,
    VS_CODE,
    front_end,
    in_kernel,
    prepare_front_end,
    say,
)

SIGNS = ("VSCODE_", "BINDER_", "JPY_", "PAPERMILL_", "COLAB_")


@pytest.fixture
def kernel(monkeypatch):
    """A notebook kernel, and nothing yet that says who talks to it; gives the notebook's variables."""
    for name in [name for name in os.environ if name.startswith(SIGNS)]:
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    variables: dict[str, object] = {}
    monkeypatch.setattr(frontend, "_shell", lambda: SimpleNamespace(kernel=object(), user_ns=variables))
    return variables


@pytest.fixture
def colab(monkeypatch):
    """Colab's own package, as far as it is used; gives the list of calls."""
    calls: list[str] = []
    package, module, output = (ModuleType(name) for name in ("google", "google.colab", "google.colab.output"))
    output.enable_custom_widget_manager = lambda: calls.append("enabled")
    for stub in (package, module, output):
        monkeypatch.setitem(sys.modules, stub.__name__, stub)
    return calls


def test_a_script_is_a_script():
    code = "from fedlab_nb.view.frontend import *; print(front_end().name, in_kernel())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == f"{SCRIPT.name} False\n"


def test_ipython_in_a_terminal_is_told_from_a_kernel():
    code = "from fedlab_nb.view.frontend import *; print(front_end().name, in_kernel())"
    command = [sys.executable, "-m", "IPython", "--quick", "--colors=NoColor", "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{TERMINAL.name} False" in ended.stdout


@pytest.mark.usefixtures("kernel")
def test_a_kernel_alone_does_not_tell_whether_a_page_is_there():
    assert in_kernel()
    assert front_end() is KERNEL
    assert "If a page" in KERNEL.note


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("JPY_SESSION_NAME", "lessons/first.ipynb", JUPYTER),
        ("JPY_SESSION_NAME", "lessons/first-jvsc-c2f2a306.ipynb", VS_CODE),
        ("VSCODE_PID", "4711", VS_CODE),
        ("VSCODE_CWD", "/somewhere", VS_CODE),
        ("BINDER_LAUNCH_HOST", "https://mybinder.org/", BINDER),
        ("BINDER_REPO_URL", "https://example.org/a/b", BINDER),
        ("BINDER_SERVICE_HOST", "10.0.0.1", BINDER),
        # The image is Colab's in other places too, and so is its environment.
        ("COLAB_RELEASE_TAG", "release-colab", KERNEL),
    ],
)
def test_an_environment_variable_tells_the_front_end(name, value, expected, monkeypatch):
    monkeypatch.setenv(name, value)
    assert front_end() is expected


def test_binder_is_more_than_its_jupyter_server(kernel, monkeypatch):
    monkeypatch.setenv("BINDER_LAUNCH_HOST", "https://mybinder.org/")
    monkeypatch.setenv("JPY_SESSION_NAME", "first.ipynb")
    assert front_end() is BINDER


def test_jupyter_started_in_a_terminal_of_vs_code_is_jupyter(kernel, monkeypatch):
    monkeypatch.setenv("VSCODE_PID", "4711")
    monkeypatch.setenv("JPY_SESSION_NAME", "first.ipynb")
    assert front_end() is JUPYTER


def test_vs_code_on_a_colab_server_is_vs_code_and_colab_is_not_asked(kernel, colab):
    kernel["__vsc_ipynb_file__"] = "first.ipynb"
    assert front_end() is VS_CODE
    prepare_front_end()
    assert colab == []


def test_papermill_says_so_when_it_passes_its_paths(kernel):
    kernel["PAPERMILL_OUTPUT_PATH"] = "out.ipynb"
    assert front_end() is PAPERMILL


@pytest.mark.usefixtures("kernel")
def test_colab_is_asked_to_show_our_own_widgets(colab):
    assert front_end() is COLAB
    prepare_front_end()
    assert colab == ["enabled"]


@pytest.mark.usefixtures("kernel")
def test_nobody_else_is_asked_for_anything(colab, monkeypatch):
    monkeypatch.delitem(sys.modules, "google.colab")
    prepare_front_end()
    assert colab == []


def test_every_front_end_says_in_a_sentence_what_will_be_live():
    for known in (SCRIPT, TERMINAL, PAPERMILL, VS_CODE, COLAB, BINDER, JUPYTER, KERNEL):
        assert known.note.endswith(".")
        assert known.note[0].isupper() or known.note.startswith("train()")
        assert known.live == known.buttons == ("buttons work" in known.note)
        assert known.html or not known.live


def test_a_line_is_printed_at_once(capsys):
    say("round 1 of 5")
    assert capsys.readouterr().out == "round 1 of 5\n"
