"""What the dashboard costs a long run of many owners, in a real JupyterLab: printed to be read, never a pass or a fail.

python run.py bench dashboard [rounds] [owners]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

CELLS = (
    """import fedlab_nb as fl
owners = fl.split_rows(fl.data.breast_cancer(), owners={owners})
fed = fl.Federation(owners, encrypt=fl.CKKS())""",
    "run = fl.train(fed, fl.FedAvg(fl.models.mlp()), num_rounds={rounds})",
    "await run",
)
# Frames that came late, and how late, while the page is watched.
WATCH = """() => {
    window.frames = []; let last = performance.now();
    const tick = (now) => { window.frames.push(now - last); last = now; requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
}"""
COST = """import psutil
seconds = sum(sum(r.seconds.values()) for r in run.history)
draws = run._eyes._dashboard.draws
memory = psutil.Process().memory_info().rss
print(seconds, run._eyes.cost, max(draws), sorted(draws)[len(draws) // 2], len(draws), memory)"""


def main(rounds: int = 500, owners: int = 50) -> None:
    """Print the table."""
    from playwright.sync_api import sync_playwright

    from run import find_chromium
    from tests.browser.conftest import FLAGS
    from tests.browser.front import Front
    from tests.browser.server import Server, wait_until

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        for name in ("work", "home"):
            (Path(folder) / name).mkdir()
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        server = Server("lab", Path(folder) / "work", Path(folder) / "home")
        front = Front(server, browser, "bench")
        page = front.open(front.write([cell.format(rounds=rounds, owners=owners) for cell in CELLS]))
        page.run_all()
        board = page.board()
        wait_until(lambda: board.round >= 3, "the run goes", 120)
        page.page.evaluate(WATCH)
        answers = []
        for state, button in (("paused", "Pause"), ("running", "Resume")) * 5:
            began = time.perf_counter()
            board.press(button)
            wait_until(lambda state=state: board.state == state, "the page answers")
            answers.append(time.perf_counter() - began)
        page.wait_finished(3600)
        frames = sorted(page.page.evaluate("() => window.frames"))
        seconds, cost, worst, middle, count, memory = map(float, page.ask(COST).split())
        page.save()
        rows = [
            (f"seconds of {rounds} rounds of {owners} owners", f"{seconds:.0f}"),
            ("drawing, share of training time", f"{cost / seconds:.2%}"),
            ("drawing, kernel milliseconds a round", f"{1000 * cost / rounds:.1f}"),
            (f"one redraw of {count:.0f}, milliseconds: median; worst", f"{1000 * middle:.1f}; {1000 * worst:.1f}"),
            ("Pause or Resume until the page shows it, seconds (median)", f"{sorted(answers)[len(answers) // 2]:.2f}"),
            ("frames of the page, milliseconds: median; 99 %; worst", _frames(frames)),
            ("notebook on disk, kB", f"{page.file.stat().st_size / 1000:.0f}"),
            ("memory of the kernel at the end, MB", f"{memory / 1e6:.0f}"),
        ]
        front.close()
        server.end()
        browser.close()
    for label, value in rows:
        sys.stdout.write(f"{label:<62}{value:>16}\n")


def _frames(frames: list[float]) -> str:
    return f"{frames[len(frames) // 2]:.0f}; {frames[int(len(frames) * 0.99)]:.0f}; {frames[-1]:.0f}"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
