"""No private value leaves its owner's rows: not in an output, a card, a file, an export or a message to a page."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbconvert import HTMLExporter
from nbformat import NotebookNode

import run
from tests.notebooks.kernel import Kernel
from tests.notebooks.private_rows import OWN_ROWS, WORD, found_in, message_parts, private_numbers

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

# What is declared is public, so the word is in no list. Without a budget the values of a category column that is not
# declared are asked for and told; within one, a value that few rows have is not. The noise has a seed only so that the
# test is the same every time.
DECLARED = 'categories={"ill": ["no", "yes"], "ward": ["blue", "green"]}'
HOUSES = {
    "encrypted within a budget": (
        'categories={"ill": ["no", "yes"]}',
        "encrypt=fl.CKKS(), budget=fl.Budget(epsilon=8, delta=1e-3), noise_seed=0",
    ),
    "in the clear, without a budget": (DECLARED, "encrypt=None"),
}
# Everything that somebody can look at, by the objects' own cards and texts.
SHOWN = """
for thing in (owners[0], owners[0].schema, owners[0].mock(rows=3), fed, run, run.frame(), run.figure()):
    display(thing); print(repr(thing), str(thing))
for thing in (run.threat_card, run.budget, run.history, run.history[-1], run.history[-1].state, run.snapshot()):
    display(thing); print(repr(thing), str(thing))
for party in ("server", "key holder", *fed.names):
    seen = fed.seen_by(party); display(seen); print(seen)
    for message in seen:
        display(message); print(message, message.peek)
display(fed.ledger)
for ending in ("html", "svg", "png"):
    run.save("saved." + ending)
"""
# Mistakes, and questions that are refused: their texts must not quote what they were made with.
MISTAKES = f"""
import traceback
class Quoting(fl.FedAvg):
    def step(self, state, federation, number, cohort, *, last):
        def quote(name, rows):
            raise ValueError(str(rows.training) + str(rows.held_out))
        debits = {{name: [] for name in cohort}}
        return federation.gather("update", quote, number=number, cohort=cohort, bound=1.0, debits=debits)
declared = [fl.DataOwner(name, frame, target="ill", {DECLARED}) for name, frame in frames.items()]
failing = fl.train(fl.Federation(declared), Quoting(fl.models.logistic()), num_rounds=2)
bad = frames["North"]
for wrong in (
    lambda: owners[0].head(),
    lambda: owners[0]["income"],
    lambda: run.model.predict(bad.assign(income=bad.income.astype(str) + " EUR")),
    lambda: fl.DataOwner("North", bad.assign(ward=[[one] for one in bad.ward]), target="ill"),
    lambda: fl.DataOwner("North", bad, target="missing"),
    lambda: fl.DataOwner("North", bad, target="ill", bounds={{"ward": (0, 1)}}),
    lambda: fl.Federation([owners[0], fl.DataOwner("West", bad.assign(income=bad.income.astype(str)), target="ill")]),
    lambda: run.model.predict(bad.drop(columns="ward")),
    lambda: failing.wait(),
):
    try:
        wrong()
    except Exception:
        print(traceback.format_exc())
    else:
        raise AssertionError("this should have been refused")
display(failing)
"""
TRAIN = "run = fl.train(fed, fl.FedAvg(fl.models.logistic()), num_rounds={rounds})"


def beginning(house: str) -> str:
    """The code that makes owners and federation."""
    declared, settings = HOUSES[house]
    owners = f'owners = [fl.DataOwner(name, frame, target="ill", {declared}) for name, frame in frames.items()]'
    return f"{OWN_ROWS}\n{owners}\nfed = fl.Federation(owners, {settings})"


@pytest.fixture(scope="module", params=HOUSES)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[NotebookNode, Path]:
    """A notebook that shows all there is, after execution, and the folder in which it ran."""
    cells = (beginning(request.param), TRAIN.format(rounds=5), "history = await run", SHOWN, MISTAKES)
    folder = tmp_path_factory.mktemp("private")
    source = folder / "all_there_is.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, source)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return run.execute(source, folder), folder


def test_no_private_value_is_in_the_executed_notebook_or_its_export(executed: tuple[NotebookNode, Path]) -> None:
    notebook, _ = executed
    shown = nbformat.writes(notebook)
    assert "AUC" in shown
    assert "its text is withheld because it may quote private values" in shown
    assert "some of its values are not numbers" in shown
    assert found_in(notebook) == []
    assert found_in(shown) == []
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # nbconvert misses an alternative text beside pictures of other libraries
        page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "fl-root" in page
    assert found_in(page) == []


def test_no_private_value_is_in_a_file_that_a_run_saves(executed: tuple[NotebookNode, Path]) -> None:
    _, folder = executed
    saved = sorted(folder.glob("saved.*"))
    assert [path.suffix for path in saved] == [".html", ".png", ".svg"]
    for path in saved:
        assert found_in(path.read_bytes()) == []


@pytest.mark.parametrize("house", HOUSES)
def test_no_private_value_is_in_any_message_to_a_page_that_watches(kernel: Kernel, house: str, tmp_path: Path) -> None:
    kernel.run(beginning(house))
    kernel.run(TRAIN.format(rounds=12))
    kernel.watch()
    kernel.wait_until(lambda: kernel.ask("len(run.history) >= 2"), "two rounds")
    kernel.act("pause")
    kernel.act("change", name="lr", value=0.05)
    kernel.act("change", name="lr", value=-1)
    kernel.act("rewind", to=1)
    kernel.act("resume")
    kernel.run("history = await run")
    kernel.run(SHOWN)
    sent = [message for message in kernel.said if message["msg_type"].startswith("comm_")]
    assert any("points" in message["content"]["data"].get("content", {}) for message in sent), "the chart was fed"
    assert {"comm_open", "comm_msg"} <= {message["msg_type"] for message in sent}
    assert any(message["msg_type"] == "update_display_data" for message in kernel.said), "the last picture was left"
    assert (tmp_path / "saved.html").is_file()
    assert [hit for message in kernel.said for hit in found_in(message_parts(message))] == []


def test_the_search_finds_what_is_shown_in_any_of_the_usual_ways(kernel: Kernel) -> None:
    value, number = private_numbers()[5], "the income " + repr(private_numbers()[5])
    picture = base64.b64encode(f"<svg><text>{value:,.2f}</text></svg>".encode()).decode()
    array = base64.b64encode(np.array([1.0, value, 2.0]).tobytes()).decode()
    for text in (
        f"at {value}!",
        f"{value:.6g}",
        f"{value:,.0f} EUR",
        f"src=data:image/svg+xml;base64,{picture}",
        array,
    ):
        assert found_in({"a": ["nothing", text]}) == [number]
    assert found_in([np.array([value]).data, b"", np.array([value], np.float32).tobytes()]) == [number]
    assert found_in(f"{WORD} of North") == found_in("patient&#45;Q7") == found_in("patient%2DQ7") == [WORD]
    assert found_in(f"{value + 2000:.6g} and 4 patients") == []
    kernel.run(OWN_ROWS)
    for leak in ("frames['North']", "print(frames['East'].income)", "frames['South'].income.max()"):
        kernel.said.clear()
        kernel.run(leak)
        assert any(found_in(message_parts(message)) for message in kernel.said), leak
