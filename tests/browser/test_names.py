"""Names that somebody makes up are shown as they are written, wherever they turn up, and never obeyed."""

import pytest
from playwright.sync_api import Page

from tests.browser.front import Front
from tests.browser.page import NotebookPage
from tests.browser.server import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OWNER = "<img src=x onerror=window.hacked=1>"
# Owners, columns, classes and a class of the user's own, each with another way to get a foot in the door.
SETUP = f"""import fedlab_nb as fl, numpy as np, pandas as pd
rng = np.random.default_rng(0)
def frame():
    age = rng.normal(size=60)
    return pd.DataFrame({{"<svg onload=window.hacked=2>": age, "'\\"><script>window.hacked=3</script>": age ** 2,
                         "<b>ill</b>": np.where(age > 0, "</style><img src=x onerror=window.hacked=4>", "no")}})
names = ["{OWNER}", "</script></style></svg><script>window.hacked=5</script>", "&lt;i&gt; South"]
owners = [fl.DataOwner(name, frame(), target="<b>ill</b>") for name in names]
fed = fl.Federation(owners, encrypt=fl.CKKS())"""
SHOW = """things = [fed, *owners, owners[0].schema, owners[0].mock(3), run.threat_card, run.budget, run.history[-1]]
for thing in (*things, fed.ledger, fed.seen_by("server"), *fed.seen_by(names[0]), run.figure(), run):
    display(thing)
run.save("page.html")"""
TRAIN = "run = fl.train(fed, fl.FedAvg(fl.models.logistic()), num_rounds=3000)"


def refuse_hacked(page: Page) -> None:
    """Nothing that was written in a name has come to life: no code has run, no element was made of it."""
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("img[src='x'], [onerror], [onload]").count() == 0


def meet(page: NotebookPage) -> None:
    """Live: the name stands in the list of owners, in the chart's answer to the pointer, and in the events."""
    board = page.board(0)
    wait_until(lambda: board.round >= 3, "three rounds")
    assert OWNER in board.text("owners")
    board.press("Pause")
    wait_until(lambda: board.state == "paused", "the page says paused")
    board.part("chart").locator(".fl-picture").hover()
    refuse_hacked(page.page)
    board.press("Stop")
    page.wait_finished()
    wait_until(lambda: board.state == "stopped", "the page says stopped")


def test_a_name_made_of_code_is_shown_as_text_live_at_rest_saved_and_exported(front: Front) -> None:
    page = front.open(front.write([SETUP, TRAIN, "history = await run", SHOW]))
    page.run_all()
    meet(page)
    refuse_hacked(page.page)
    assert OWNER in page.board(0).text("owners")
    assert OWNER in page.output(3).inner_text()
    page.save()
    for trusted in (True, False):
        reader = front.read(page.file, trusted=trusted, name=f"trusted-{trusted}")
        assert OWNER in reader.board(0).root.inner_text()
        refuse_hacked(reader.page)
    for html in (front.export(page.file), page.file.parent / "page.html"):
        shown = front.open_html(html)
        assert OWNER in shown.locator(".fl-root").first.inner_text()
        refuse_hacked(shown)
