"""A notebook in a real page, in JupyterLab or Notebook 7: run, wait, look, press, save, reload, restart."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response

from tests.browser.board import Board
from tests.browser.server import wait_until

# What a page says that is neither ours nor a fault. Each has its reason; nothing else is let through.
HARMLESS = (
    # anywidget gives a widget 2 s to come up and then complains; it comes up all the same.
    r"\[anywidget\] Failed to initialize model\.",
    # Notebook 7 looks for the settings of a Lab extension that it does not load (ipywidgets' own among them).
    r"Cannot read properties of undefined \(reading 'schema'\)",
    # The page asks a kernel whether it is being debugged; a kernel that is restarted or ended does not answer.
    r"Could not restore the debugger state: Canceled future for debug_request",
)
READY, PANEL = 90_000, "window.jupyterapp.shell.currentWidget"
CELLS = f"{PANEL}.content.model.toJSON().cells"


class Ears:
    """Listens to a page: ``problems`` is every error that the page told of, harmless ones left out.

    ``network=False`` is for a page that was cut off on purpose: that it reached no other place is then no problem.
    """

    def __init__(self, page: Page, *, network: bool = True) -> None:
        self.problems: list[str] = []
        # A page that is left or loaded anew cancels what it was waiting for.
        self._expected = ["net::ERR_ABORTED"] if network else ["net::ERR_ABORTED", "net::ERR_INTERNET_DISCONNECTED"]
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("console", self._hear)
        page.on("response", self._answered)
        page.on("requestfailed", self._failed)

    def _hear(self, message: ConsoleMessage) -> None:
        # What failed to load is told with its address by the two that listen to requests.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._note(message.text)

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._note(f"{response.status} {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        if request.failure not in self._expected:
            self._note(f"{request.failure} {request.method} {request.url}")

    def _note(self, text: str) -> None:
        if not any(re.search(known, text) for known in HARMLESS):
            self.problems.append(text[:500])


class NotebookPage:
    """One notebook, as somebody in front of it would see and use it; ``file`` is where it lies on disk."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page, self.file, self._ears = page, file, Ears(page)
        page.on("dialog", lambda dialog: dialog.accept())  # "leave this page?": yes

    @property
    def problems(self) -> list[str]:
        """Errors that the page told of so far, harmless ones left out: must be empty at the end of a test."""
        return self._ears.problems

    def open(self, address: str, *, idle: bool = True) -> None:
        """Go to the notebook and wait until its kernel is there; ``idle=False`` where it may be at work already."""
        self.page.goto(address)
        self._wait_for_kernel(idle=idle)

    def open_without_kernel(self, address: str) -> None:
        """Go to a notebook that names no kernel, and answer the question for one with "No Kernel", as readers do."""
        self.page.goto(address)
        self._dialog("No Kernel")
        self._wait(f"{PANEL}?.context?.isReady && !{PANEL}.sessionContext.session?.kernel")

    def reload(self) -> None:
        """Load the page anew, as F5 does; the kernel goes on, and may be at work."""
        self.page.reload()
        self._wait_for_kernel(idle=False)

    def save(self) -> NotebookNode:
        """Save as the Save button does, and read the file back."""
        self.command("docmanager:save")
        wait_until(lambda: not self.page.evaluate(f"() => {PANEL}.context.model.dirty"), "the notebook is saved")
        return nbformat.read(self.file, as_version=4)

    def restart_kernel(self) -> None:
        """Restart the kernel; what the notebook shows stays."""
        self.page.evaluate(f"() => {PANEL}.sessionContext.restartKernel()")
        self._wait_for_kernel(idle=True)

    def shut_down_kernel(self) -> None:
        """End the kernel; the notebook stays open without one."""
        self.page.evaluate(f"() => {PANEL}.sessionContext.shutdown()")
        self._wait(f"!{PANEL}.sessionContext.session?.kernel")

    def interrupt(self) -> None:
        """Interrupt the kernel, as the ■ button does."""
        self.command("notebook:interrupt-kernel")

    def run_all(self) -> None:
        """Start all cells and return at once; ``finished`` tells when all are done."""
        self._start("notebook:run-all-cells")

    def run_cell(self, index: int) -> None:
        """Start one cell, counted from 0, and return at once; ``finished`` tells when it is done."""
        self.page.evaluate(f"(index) => {{ {PANEL}.content.activeCellIndex = index; }}", index)
        self._start("notebook:run-cell")

    @property
    def finished(self) -> bool:
        """Whether what was started last is done; fails at once if a cell failed, instead of letting a test wait."""
        # Asked in this order: a cell that fails between the two questions is then noticed, not taken for done.
        done = bool(self.page.evaluate("() => window.allDone"))
        self.refuse_cell_errors()
        return done

    def wait_finished(self, seconds: float = 60) -> None:
        """Wait until what was started last is done."""
        wait_until(lambda: self.finished, "the cells are done", seconds)

    def cell_errors(self) -> list[str]:
        """The errors that cells ended with, such as ``"NameError: name 'x' is not defined"``."""
        told = self.page.evaluate(
            f"() => {CELLS}.flatMap((cell) => cell.outputs ?? []).filter((output) => output.output_type === 'error')"
            ".map((output) => output.ename + ': ' + output.evalue)"
        )
        return [str(one) for one in told]

    def refuse_cell_errors(self) -> None:
        """Fail if a cell ended with an error."""
        errors = self.cell_errors()
        assert not errors, "; ".join(errors)

    def printed(self) -> str:
        """All that the cells printed, as the notebook model has it."""
        return str(
            self.page.evaluate(
                f"() => {CELLS}.flatMap((cell) => cell.outputs ?? [])"
                ".filter((output) => output.output_type === 'stream')"
                ".map((output) => [output.text].flat().join('')).join('')"
            )
        )

    def ask(self, code: str) -> str:
        """What ``code`` prints when the notebook's kernel runs it, outside any cell, after what it is busy with."""
        return str(
            self.page.evaluate(
                f"""async (code) => {{
                    const kernel = {PANEL}.sessionContext.session.kernel;
                    const asked = kernel.requestExecute({{ code, store_history: false }});
                    let said = "";
                    asked.onIOPub = ({{ content }}) => {{ said += content.text ?? content.evalue ?? ""; }};
                    await asked.done;
                    return said;
                }}""",
                code,
            )
        ).strip()

    def board(self, index: int = -1) -> Board:
        """The dashboard with this number in the order of the page, counted from 0; the last one if none is given."""
        boards = self.page.locator(".jp-OutputArea .fl-root")
        return Board(boards.last if index == -1 else boards.nth(index))

    def boards(self) -> int:
        """How many dashboards the page shows."""
        return self.page.locator(".jp-OutputArea .fl-root").count()

    def output(self, cell: int) -> Locator:
        """What stands below the code cell with this number, counted from 0."""
        return self.page.locator(".jp-CodeCell").nth(cell).locator(".jp-Cell-outputArea")

    def kernel_status(self) -> str:
        """Such as "idle" or "busy"; empty where there is no kernel."""
        return str(self.page.evaluate(f"() => {PANEL}.sessionContext.session?.kernel?.status ?? ''"))

    def command(self, name: str) -> None:
        """Run a command of the front end, such as ``"docmanager:save"``, to its end."""
        self.page.evaluate("(name) => window.jupyterapp.commands.execute(name)", name)

    def only_notebook(self) -> None:
        """Close JupyterLab's side bar, so that the notebook has the window to itself; Notebook 7 has none."""
        self.page.evaluate("() => { const shell = window.jupyterapp.shell; shell.collapseLeft?.(); }")

    def resize(self, width: int, height: int = 900) -> None:
        """Make the window this large, in CSS pixels."""
        self.page.set_viewport_size({"width": width, "height": height})

    def _start(self, command: str) -> None:
        self.page.evaluate(
            """(name) => {
                window.allDone = false;
                window.jupyterapp.commands.execute(name).finally(() => { window.allDone = true; });
            }""",
            command,
        )

    def _dialog(self, answer: str) -> None:
        self.page.locator(".jp-Dialog").get_by_role("button", name=answer).click(timeout=READY)

    def _wait_for_kernel(self, *, idle: bool) -> None:
        states = '["idle"]' if idle else '["idle", "busy"]'
        status = f"{PANEL}.sessionContext?.session?.kernel?.status"
        self._wait(f"window.jupyterapp?.shell?.currentWidget?.context?.isReady && {states}.includes({status})")

    def _wait(self, condition: str) -> None:
        self.page.wait_for_function(f"() => {condition}", timeout=READY)
