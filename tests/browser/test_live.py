"""Somebody trains in JupyterLab or Notebook 7: the picture grows, the buttons work, and nothing is left hanging."""

import pytest

from tests.browser.front import Front
from tests.browser.page import NotebookPage
from tests.browser.server import wait_until

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
DRAWING = "print(run._eyes.cost / sum(sum(r.seconds.values()) for r in run.history))"


def test_a_run_can_be_watched_paused_stepped_resumed_and_stopped(front: Front) -> None:
    page = front.open(front.write(CELLS))
    page.run_all()
    watch_and_press(front, page)


def test_a_closed_tab_does_not_stop_training_and_the_run_is_found_again(front: Front) -> None:
    file = front.write(CELLS[:2])
    first = front.open(file)
    first.run_all()
    wait_until(lambda: first.board().round >= 2, "the run goes")
    left_at = first.board().round
    front.leave(first)
    second = front.open(file, idle=False)
    wait_until(lambda: int(second.ask("print(len(run.history))")) > left_at + 2, "rounds went on without a page")
    assert second.ask("print(run.state)") == "running"
    assert second.ask("run.stop(); print(len(run.wait()), run.state)").endswith("stopped")


def watch_and_press(front: Front, page: NotebookPage) -> None:
    """The story of the test, in the order in which somebody would live it."""
    board = page.board()
    wait_until(lambda: board.points() >= 3, "the chart shows three rounds", 120)
    assert not page.finished, "the chart must grow while training runs, not after it"
    assert board.state == "running"
    seen = board.points()
    wait_until(lambda: board.points() > seen, "the chart gains points")

    board.press("Pause")
    wait_until(lambda: board.has_button("Resume") and board.state == "paused", "the page says paused")
    held = board.settled_round()
    front.look(page, "paused")

    board.press("Step")
    wait_until(lambda: board.round > held, "one step is made")
    assert board.settled_round() == held + 1

    board.press("Resume")
    wait_until(lambda: board.round > held + 2, "the run goes on")

    board.press("Stop")
    page.wait_finished()
    wait_until(lambda: board.state == "stopped", "the page says stopped")
    final = board.round
    assert held + 2 < final < ROUNDS
    assert f"ended stopped {final}" in page.printed()
    assert f"rows {final}" in page.printed()
    picture = board.part("chart").locator("img")
    wait_until(lambda: picture.count() > 0, "a picture takes the place of the widgets")
    # In a run this short the last picture weighs most; tests/view states the law for longer ones (2 %).
    assert float(page.ask(DRAWING)) < 0.05
