"""Somebody trains in JupyterLab: the picture grows, the buttons work, and nothing is left hanging."""

import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser

from tests.browser.labpage import LabPage, lab_server, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Far more rounds than any test waits for: only the Stop button ends this run, on any machine.
ROUNDS = 5000
CELLS = (
    """import fedlab_nb as fl
owners = fl.split_rows(fl.data.breast_cancer(), owners=3)
fed = fl.Federation(owners, encrypt=fl.CKKS())""",
    f"run = fl.train(fed, fl.FedAvg(fl.models.mlp()), num_rounds={ROUNDS})",
    "history = await run\nprint('ended', run.state, len(history))",
    "print('rows', len(run.frame()))",
)
# Processor seconds of all redraws as a share of the seconds of all rounds.
DRAWING = "print(run._dashboard.cost / sum(sum(r.seconds.values()) for r in run.history))"


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """A notebook with these code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def test_a_run_can_be_watched_paused_stepped_resumed_and_stopped(browser: Browser, tmp_path: Path, root: Path) -> None:
    folder, home = tmp_path / "work", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    pictures = root / "out" / "screenshots"
    pictures.mkdir(parents=True, exist_ok=True)
    write_notebook(folder / "live.ipynb", CELLS)
    with lab_server(folder, home) as url:
        window = browser.new_page(viewport={"width": 1400, "height": 1000})
        lab = LabPage(window)
        try:
            lab.open(url, "live.ipynb")
            lab.run_all()
            watch_and_press(lab, pictures)
        finally:
            window.screenshot(path=str(pictures / "live_end.png"))
            window.close()
    assert lab.problems == []


def test_a_closed_tab_does_not_stop_training_and_the_run_is_found_again(browser: Browser, tmp_path: Path) -> None:
    folder, home = tmp_path / "work", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    write_notebook(folder / "left_alone.ipynb", CELLS[:2])
    with lab_server(folder, home) as url:
        first = browser.new_page(viewport={"width": 1000, "height": 800})
        lab = LabPage(first)
        lab.open(url, "left_alone.ipynb")
        lab.run_all()
        wait_until(lambda: lab.round() >= 2, "the run goes")
        left_at = lab.round()
        first.close()
        second = LabPage(browser.new_page(viewport={"width": 1000, "height": 800}))
        second.open(url, "left_alone.ipynb", idle=False)
        wait_until(lambda: int(second.ask("print(len(run.history))")) > left_at + 2, "rounds went on without a page")
        assert second.ask("print(run.state)") == "running"
        assert second.ask("run.stop(); print(len(run.wait()), run.state)").endswith("stopped")
        second.page.close()


def watch_and_press(lab: LabPage, pictures: Path) -> None:
    """The story of the test, in the order in which somebody would live it."""
    wait_until(lambda: lab.points() >= 3, "the chart shows three rounds", 120)
    assert not lab.finished, "the chart must grow while training runs, not after it"
    assert lab.text("header-state") == "running"
    seen = lab.points()
    wait_until(lambda: lab.points() > seen, "the chart gains points")

    lab.press("Pause")
    wait_until(lambda: lab.has_button("Resume") and lab.text("header-state") == "paused", "the page says paused")
    held = settled_round(lab)
    lab.page.screenshot(path=str(pictures / "live_paused.png"))

    lab.press("Step")
    wait_until(lambda: lab.round() > held, "one step is made")
    assert settled_round(lab) == held + 1

    lab.press("Resume")
    wait_until(lambda: lab.round() > held + 2, "the run goes on")

    lab.press("Stop")
    wait_until(lambda: lab.finished, "all cells are done")
    wait_until(lambda: lab.text("header-state") == "stopped", "the page says stopped")
    final = lab.round()
    assert held + 2 < final < ROUNDS
    assert f"ended stopped {final}" in lab.printed()
    assert f"rows {final}" in lab.printed()
    picture = lab.page.locator('[data-testid="chart"] img')
    wait_until(lambda: picture.count() == 1, "a picture takes the place of the widgets")
    # In a run this short the last picture weighs most; tests/view states the law for longer ones (2 %).
    assert float(lab.ask(DRAWING)) < 0.05


def settled_round(lab: LabPage) -> int:
    """The round at which a paused run stands: the one being computed may still end, after that nothing moves."""
    last, since = lab.round(), time.monotonic()
    while time.monotonic() - since < 1.0:
        if lab.round() != last:
            last, since = lab.round(), time.monotonic()
        time.sleep(0.1)
    return last
