"""train() where a kernel runs and no page looks, and in a terminal: plain lines in the right place, and no hanging."""

import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

SETUP = """import fedlab_nb as fl
import fedlab_nb.eyes
fedlab_nb.eyes.TELL_EVERY = 0.05
fed = fl.Federation(fl.split_rows(fl.data.breast_cancer(), owners=3))"""
TRAIN = "run = fl.train(fed, fl.FedAvg(fl.models.logistic()), num_rounds=80)"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("wait", ["await run", "run.wait()"])
def test_the_waiting_cell_tells_how_far_it_is_and_the_training_cell_keeps_the_picture(wait: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (SETUP, TRAIN, wait)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    _, training, waiting = notebook.cells
    assert [output.output_type for output in training.outputs] == ["display_data"]
    assert training.outputs[0].data["text/plain"].startswith("Round 80 of 80")
    told = "".join(output.text for output in waiting.outputs if output.output_type == "stream")
    assert "round " in told
    assert "of 80" in told
    assert 1 <= len(told.splitlines()) <= 80


@pytest.mark.slow
def test_in_a_terminal_every_round_is_a_line_and_the_run_is_text() -> None:
    code = f"{SETUP}\n{TRAIN.replace('80', '3')}\nfrom IPython.display import display\ndisplay(run)\ndisplay(fed)"
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--colors=NoColor", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for line in ("round 1 of 3", "round 3 of 3", "Run(FedAvg over 3 owners: finished", "Federation(3 owners"):
        assert line in done.stdout
    assert "<div" not in done.stdout
