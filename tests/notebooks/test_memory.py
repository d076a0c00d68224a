"""What the quickstart costs in memory, when all that it can show has been shown."""

import json
import logging
from pathlib import Path

import nbformat
import pytest

import run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

LOG = logging.getLogger(__name__)  # pytest --log-cli-level=INFO shows what was measured
LIMIT = 600e6
# The kernel about itself: resident now, and the libraries that were loaded.
ASK = """
import json, sys, psutil
heavy = [name for name in ("torch", "tenseal", "plotly.graph_objs", "anywidget", "pandas") if name in sys.modules]
print(json.dumps({"resident": psutil.Process().memory_info().rss, "heavy": heavy}))
"""


def test_the_kernel_of_the_quickstart_stays_under_six_hundred_megabytes_with_everything_loaded(tmp_path: Path) -> None:
    notebook = nbformat.read(run.QUICKSTART, as_version=4)
    assert any("run.figure()" in cell.source for cell in notebook.cells), "the interactive chart is part of it"
    notebook.cells.append(nbformat.v4.new_code_cell(ASK))
    source = tmp_path / "with_a_question.ipynb"
    nbformat.write(notebook, source)
    (told,) = run.execute(source, tmp_path).cells[-1].outputs
    facts = json.loads(told.text)
    assert facts["heavy"] == ["torch", "tenseal", "plotly.graph_objs", "anywidget", "pandas"]
    LOG.info("%.0f MB resident", facts["resident"] / 1e6)
    assert facts["resident"] < LIMIT
