"""Every notebook runs from the first cell to the last, and shows its reader what it promises."""

import re
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

import run

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def execution(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], tuple[NotebookNode, Path]]:
    """A notebook after execution, and the folder in which it ran; each is executed once."""

    @cache
    def execute(path: Path) -> tuple[NotebookNode, Path]:
        folder = tmp_path_factory.mktemp(path.stem)
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # what the notebook tools warn about themselves is not ours to fix
            return run.execute(path, folder), folder

    return execute


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(
    request: pytest.FixtureRequest, execution: Callable[[Path], tuple[NotebookNode, Path]]
) -> tuple[NotebookNode, Path]:
    """Every notebook, one after the other."""
    return execution(request.param)


@pytest.fixture(scope="module")
def notebook(executed: tuple[NotebookNode, Path]) -> NotebookNode:
    return executed[0]


def outputs(notebook: NotebookNode, containing: str) -> list[NotebookNode]:
    """The outputs of the code cells whose source contains a text."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and containing in cell.source]
    assert cells, f"no cell contains {containing!r}"
    return [output for cell in cells for output in cell.outputs]


def runs(notebook: NotebookNode) -> list[NotebookNode]:
    """What each training cell shows: one picture a cell. A notebook that asks questions instead has none."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and "fl.train(" in cell.source]
    assert cells or any("fl.PrivateFrame(" in cell.source for cell in notebook.cells)
    assert [len(cell.outputs) for cell in cells] == [1] * len(cells)
    return [cell.outputs[0].data for cell in cells]


def table(html: str) -> list[list[str]]:
    """The rows of an HTML table, header first, as text."""
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]


def text_of(output: NotebookNode) -> str:
    """What an output says in plain text."""
    return output["text"] if output.output_type == "stream" else output["data"].get("text/plain", "")


def test_nothing_is_said_on_stderr_and_no_cell_fails(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")


def test_the_training_cell_keeps_a_picture_that_needs_neither_kernel_nor_script(notebook: NotebookNode) -> None:
    for data in runs(notebook):
        assert data["image/svg+xml"].startswith("<svg")
        assert "Round" in data["text/plain"]
        assert "application/vnd.jupyter.widget-view+json" not in data
        assert '<img alt="Round ' in data["text/html"]


def test_the_training_cell_keeps_a_table_of_every_round_up_to_the_last(notebook: NotebookNode) -> None:
    for data in runs(notebook):
        last = re.match(r"Round (\d+) of \1,", data["text/plain"])
        assert last, "the last picture is of the last round"
        kept = re.search(r'<section[^>]*data-testid="rounds">(.*?)</section>', data["text/html"], re.DOTALL)
        assert kept
        numbers = [int(row[0]) for row in table(kept[1]) if row[0].isdigit()]
        assert numbers == list(range(1, int(last[1]) + 1))


def test_no_output_needs_a_script_or_the_network(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            page = output.get("data", {}).get("text/html", "")
            assert "<script" not in page, cell.source
            assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page), cell.source


def test_what_is_saved_is_small(notebook: NotebookNode) -> None:
    assert len(nbformat.writes(notebook)) < 300_000
    assert "widgets" not in notebook.metadata


def test_no_warning_and_no_memory_address_is_shown(notebook: NotebookNode) -> None:
    said = "\n".join(text_of(output) for cell in notebook.cells for output in cell.get("outputs", []))
    assert "Warning" not in said
    assert not re.search(r"object at 0x[0-9a-f]+", said)


def test_no_folder_of_this_machine_is_shown(executed: tuple[NotebookNode, Path]) -> None:
    notebook, folder = executed
    shown = nbformat.writes(notebook)
    assert str(folder) not in shown
    assert str(Path.home()) + "/" not in shown


@pytest.fixture(scope="module")
def quickstart(execution: Callable[[Path], tuple[NotebookNode, Path]]) -> tuple[NotebookNode, Path]:
    """The first notebook."""
    return execution(NOTEBOOKS[0])


def test_the_quickstart_shows_twenty_rounds_that_end_at_auc_98_within_the_budget(
    quickstart: tuple[NotebookNode, Path],
) -> None:
    (shown,) = outputs(quickstart[0], "run.frame()")
    rows = table(shown.data["text/html"])
    names, rounds = rows[0], [row for row in rows if row[0].isdigit()]
    assert [int(row[0]) for row in rounds] == list(range(1, 21))
    final = dict(zip(names, rounds[-1], strict=True))
    # The AUC shown is a private release: once in some two hundred runs its noise takes it below .98, with a model
    # above .99 (tests/oracles/test_quickstart.py looks at the model itself).
    assert float(final["auc"]) >= 0.97
    assert float(final["epsilon"]) <= 8.0
    assert float(final["bytes_sent"]) > float(final["bytes_if_plain"])
    assert [row[names.index("failed")] for row in rounds] == [""] * 20


def test_the_quickstart_shows_a_sealed_update_and_a_refused_question(quickstart: tuple[NotebookNode, Path]) -> None:
    notebook, _ = quickstart
    assert "sealed:" in text_of(outputs(notebook, "update.peek")[0])
    assert text_of(outputs(notebook, "fed.ledger.verify()")[0]) == "True"
    refusal = text_of(outputs(notebook, ".head()")[0])
    assert "private" in refusal
    assert "Ask for" in refusal


def test_the_quickstart_leaves_a_report_that_needs_no_network(quickstart: tuple[NotebookNode, Path]) -> None:
    report = (quickstart[1] / "00_five_lines.html").read_text()
    assert report.lower().startswith("<!doctype html>")
    assert not re.search(r"""(?:src|href)=["']?https?:""", report)
    assert "<script" not in report


def test_the_main_job_finds_the_table_and_the_threat_card(quickstart: tuple[NotebookNode, Path]) -> None:
    (rounds,) = run.texts(quickstart[0], "rounds")
    (card,) = run.texts(quickstart[0], "threat-card")
    assert len(rounds.splitlines()) == 22, "one line a round, below two lines of names"
    assert "key holder" in card


@pytest.fixture(scope="module")
def leaving(execution: Callable[[Path], tuple[NotebookNode, Path]]) -> NotebookNode:
    """The notebook that moves to Flower."""
    return execution(next(path for path in NOTEBOOKS if path.stem == "09_leaving_the_notebook"))[0]


def test_past_one_machine_the_bits_and_the_ledger_are_those_of_the_notebook(leaving: NotebookNode) -> None:
    said = "".join(text_of(output) for output in outputs(leaving, "np.array_equal("))
    assert said.splitlines() == [f"Round {number}: equal weights True, equal scores True" for number in (1, 2, 3)]
    ledger = text_of(outputs(leaving, "ledger.verify()")[0])
    assert re.fullmatch(r"Chain whole: True\. \d+ messages, the same as in the notebook: True\.\n", ledger)


def test_past_one_machine_the_dashboard_shows_every_round_also_after_coming_back(leaving: NotebookNode) -> None:
    for start in ("lab.run(", "lab.attach("):
        (picture,) = [output.data for output in outputs(leaving, start) if output.output_type == "display_data"]
        assert picture["image/svg+xml"].startswith("<svg")
        assert picture["text/plain"].startswith("Round 3 of 3, accuracy 0.")
        assert "application/vnd.jupyter.widget-view+json" not in picture
    entries = re.findall(r"[0-9a-f]{16}", text_of(outputs(leaving, "await again")[-1]))
    assert len(entries) == 2
    assert entries[0] == entries[1]


def test_past_one_machine_every_party_has_a_process_of_its_own_and_all_are_gone_at_the_end(
    leaving: NotebookNode,
) -> None:
    (shown,) = outputs(leaving, "working = processes(lab)")
    parties = [row[1] for row in table(shown.data["text/html"]) if "the party itself" in row]
    assert sorted(parties) == ["Clinic East", "Clinic North", "Clinic South", "key holder"]
    assert text_of(outputs(leaving, "lab.close()")[0]) == "Still there: []\n"
