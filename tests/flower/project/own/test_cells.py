"""What was typed in cells is cut from them, with all that it refers to, and makes a module that does the same."""

from __future__ import annotations

import linecache
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fedlab_nb.errors import SettingError
from fedlab_nb.flower.project.own import source_of

PRELUDE = """
import math
import numpy as np
from dataclasses import dataclass as data_class
import fedlab_nb as fl
from torch import nn

HIDDEN = 4
SIZES = (3, 2)
SECRET_ROWS = np.ones(3)
"""
MODELS = '''
%s
def width(times):
    # a comment that stays
    return HIDDEN * times

def model(inputs, outputs):
    """A network."""
    size = width(2)
    return nn.Sequential(nn.Linear(inputs, size), nn.Linear(size, outputs))

@data_class(frozen=True)
class Settings:
    scale: float = math.pi
'''
STRATEGY = """
@data_class(frozen=True, repr=False)
class Base(fl.FedAvg):
    settings: Settings = Settings()

class Mine(Base):
    def serve(self, state, mean, came):
        scale = self.settings.scale
        return state.weights["server"] + scale * mean[: SIZES[0]], {}
"""


class Notebook:
    """A module that is typed cell by cell, as ipykernel does it: each cell a text that linecache knows."""

    def __init__(self, name: str) -> None:
        self.module, self._number = ModuleType(name), 0
        sys.modules[name] = self.module

    def cell(self, text: str) -> None:
        self._number += 1
        file = f"<cell {self.module.__name__} {self._number}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), vars(self.module))

    def cut(self, *names: str) -> str:
        return source_of([getattr(self.module, name) for name in names], self.module.__name__)


@pytest.fixture
def notebook(request: pytest.FixtureRequest):
    made = Notebook(f"typed_{abs(hash(request.node.name))}")
    made.cell(PRELUDE)
    yield made
    del sys.modules[made.module.__name__]
    for file in [file for file in linecache.cache if file.startswith(f"<cell {made.module.__name__}")]:
        del linecache.cache[file]


def run(source: str) -> dict:
    namespace = {"__name__": "cut_from_cells"}
    sys.modules["cut_from_cells"] = module = ModuleType("cut_from_cells")
    vars(module).update(namespace)
    exec(compile(source, "task.py", "exec"), vars(module))
    return vars(module)


def test_a_model_comes_with_its_helpers_imports_and_constants(notebook: Notebook) -> None:
    notebook.cell(MODELS % "")
    source = notebook.cut("model")
    assert run(source)["model"](3, 1)[0].out_features == 8
    assert "# a comment that stays" in source
    assert source.index("def width") < source.index("def model")
    assert "SECRET_ROWS" not in source
    assert "Settings" not in source


def test_a_strategy_comes_with_its_bases_and_dataclasses(notebook: Notebook) -> None:
    notebook.cell(MODELS % "")
    notebook.cell(STRATEGY)
    made = run(notebook.cut("Mine"))
    assert made["Mine"].__mro__[2].__name__ == "FedAvg"
    assert made["Mine"](None).settings.scale == pytest.approx(3.14159, abs=1e-4)
    assert made["SIZES"] == (3, 2)


def test_the_newest_definition_counts(notebook: Notebook) -> None:
    notebook.cell("@data_class\nclass Plain:\n    size: int = 1\n")
    notebook.cell("@data_class\nclass Plain:\n    size: int = 2\n")
    assert run(notebook.cut("Plain"))["Plain"]().size == 2
    notebook.cell("def f():\n    return 1\n")
    notebook.cell("def f():\n    return 2\n")
    assert run(notebook.cut("f"))["f"]() == 2


def test_equal_cells_give_equal_text(notebook: Notebook) -> None:
    notebook.cell(MODELS % "")
    assert notebook.cut("model", "Settings") == notebook.cut("model", "Settings")


@pytest.mark.parametrize(
    ("cell", "name", "said"),
    [
        ("def f():\n    return SECRET_ROWS.sum()\n", "f", "refers to 'SECRET_ROWS', an object of type ndarray"),
        ("def f():\n    return not_there\n", "f", "refers to 'not_there', which the notebook does not have"),
        ("f = lambda inputs, outputs: None\n", "f", "without a name"),
        ("def g():\n    def inner():\n        pass\n    return inner\nf = g()\n", "f", "inside another definition"),
        (
            "def g():\n    pass\nalias = g\ndef f():\n    return alias()\n",
            "f",
            "refers to 'alias', another name of 'g'",
        ),
        ("if True:\n    def f():\n        pass\n", "f", "is in no cell that can still be read"),
    ],
    ids=["array", "missing", "lambda", "inner", "alias", "not at the top"],
)
def test_what_cannot_be_cut_is_refused_by_name(notebook: Notebook, cell: str, name: str, said: str) -> None:
    notebook.cell(cell)
    with pytest.raises(SettingError, match=said) as caught:
        notebook.cut(name)
    assert "task=" in caught.value.do


SESSION = r"""
import sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
cells = [
    "import fedlab_nb as fl\nfrom torch import nn\nfrom dataclasses import dataclass\nWIDTH = 3",
    "%precision 3\ndef small(inputs, outputs):\n    return nn.Linear(inputs, outputs)\n",
    "@dataclass(frozen=True, repr=False)\nclass Slow(fl.FedAvg):\n    part: float = 0.5\n"
    "    def serve(self, state, mean, came):\n        return state.weights['server'] + self.part * mean, {}\n",
    "from fedlab_nb.flower.project import export\n"
    "project = export(['A', 'B'], Slow(small, part=0.25), sys.argv[1])\n"
    "read = project.agreement.strategy\n"
    "print(type(read).__name__, read.part, read.model.__name__, type(read).__module__ == read.model.__module__)",
]
shell.user_ns["sys"] = sys
for cell in cells:
    shell.run_cell(cell, store_history=True).raise_error()
"""


def test_a_notebook_exports_what_was_typed_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "typed"
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(folder)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Slow 0.25 small True"
    task = (folder / "fedlab_app" / "task.py").read_text()
    assert "class Slow(fl.FedAvg):" in task
    assert "WIDTH" not in task
    # Another process, which has no notebook, reads the same agreement.
    from fedlab_nb.flower.agreement import Agreement

    agreement = Agreement.read(folder / "fedlab_app")
    assert agreement.strategy.part == 0.25
    assert agreement.digest in (folder / "sites" / "a.toml").read_text()
