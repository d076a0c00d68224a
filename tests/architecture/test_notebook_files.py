"""Notebooks as they lie in the repository: small, in order, honest, and written by one command only."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def notebook(request: pytest.FixtureRequest) -> NotebookNode:
    return nbformat.read(request.param, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_small_and_valid(path: Path) -> None:
    assert path.stat().st_size < 300_000
    nbformat.validate(nbformat.read(path, as_version=4))


def test_there_are_notebooks() -> None:
    assert {"00_five_lines.ipynb", "01_your_own_data.ipynb"} <= {path.name for path in NOTEBOOKS}


def test_no_widget_state_and_no_live_view_is_stored(notebook: NotebookNode) -> None:
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        assert "execution" not in cell.metadata
        for output in cell.get("outputs", []):
            assert WIDGET not in output.get("data", {})


def test_a_run_is_stored_as_a_picture_and_a_table_that_need_no_script(notebook: NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    runs = [output.data for cell in code if "fl.train(" in cell.source for output in cell.outputs if "data" in output]
    assert len(runs) == sum("fl.train(" in cell.source for cell in code)
    for data in runs:
        assert data["image/svg+xml"].startswith("<svg")
        assert "<table" in data["text/html"]
        assert re.match(r"Round \d+ of \d+", data["text/plain"])
    pages = [output.get("data", {}).get("text/html", "") for cell in code for output in cell.outputs]
    assert not any("<script" in page for page in pages)


def test_cells_are_executed_in_order_or_not_at_all(notebook: NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in code]
    if any(counts):
        assert counts == list(range(1, len(code) + 1))
    else:
        assert not any(cell.outputs for cell in code)


def test_no_cell_ended_in_an_error(notebook: NotebookNode) -> None:
    kinds = [output.output_type for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "error" not in kinds


def test_it_runs_on_the_kernel_that_everybody_has(notebook: NotebookNode) -> None:
    assert notebook.metadata["kernelspec"]["name"] == "python3"


def test_the_first_cell_states_the_question_and_the_minutes(notebook: NotebookNode) -> None:
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert "?" in first.source
    assert re.search(r"\bminutes?\b", first.source)


def test_the_last_cell_says_what_was_not_protected(notebook: NotebookNode) -> None:
    last = notebook.cells[-1]
    assert last.cell_type == "markdown"
    assert "not protected" in last.source.lower()


def test_no_cell_is_longer_than_a_screen(notebook: NotebookNode) -> None:
    assert max(len(cell.source.splitlines()) for cell in notebook.cells) <= 30
