"""A front end and all that one test does with it: notebooks written, pages opened, files read without a kernel."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import nbformat
from nbformat import NotebookNode
from nbformat.sign import NotebookNotary
from playwright.sync_api import Browser, Page

from tests.browser.looks import Look, look_at
from tests.browser.page import Ears, NotebookPage
from tests.browser.server import Server

PICTURES = Path(__file__).resolve().parents[2] / "out" / "screenshots"
EXPORT_SECONDS = 120


class Front:
    """JupyterLab or Notebook 7 for one test. ``name`` is "lab" or "notebook7".

    All files of a test lie in a folder of its own, and ``close`` ends its pages and its kernels.
    """

    def __init__(self, server: Server, browser: Browser, test: str) -> None:
        self.name, self._server, self._browser, self._test = server.name, server, browser, test
        self.folder = server.folder / test
        self.folder.mkdir()
        self._pages: list[Page] = []
        self._ears: list[Ears | NotebookPage] = []
        self._server.set_theme("light")

    def set_theme(self, theme: Literal["light", "dark"]) -> None:
        """From the next page on the front end is light (as it is at the start of a test) or dark."""
        self._server.set_theme(theme)

    def write(self, cells: Sequence[str], name: str = "notebook") -> Path:
        """A new notebook with these code cells, not yet run."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        return self.keep(notebook, name)

    def keep(self, notebook: NotebookNode, name: str = "notebook") -> Path:
        """Put a notebook as it is, outputs and all, where the front end finds it."""
        path = self.folder / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    def open(self, notebook: Path, *, width: int = 1400, height: int = 1000, idle: bool = True) -> NotebookPage:
        """Open a notebook in a new tab; ``idle=False`` where its kernel runs already and may be at work."""
        page = self._notebook_page(notebook, width, height)
        page.open(self._address(notebook), idle=idle)
        return page

    def read(
        self, notebook: Path, *, trusted: bool, width: int = 1400, height: int = 1000, name: str = "read"
    ) -> NotebookPage:
        """Open a copy of a saved notebook as somebody would who has no kernel for it.

        ``trusted`` is whether its outputs were made on this machine. Those of a notebook from elsewhere are cleaned by
        the front end before they are shown: no scripts, no style element, no SVG, no data-testid; classes and style
        attributes stay.
        """
        copy = nbformat.read(notebook, as_version=4)
        copy.metadata.pop("kernelspec", None)
        copy.metadata.pop("language_info", None)
        path = self.keep(copy, name)
        # The server's own data base of what was made here; it goes by content, so that a copy may be in it already.
        notary = NotebookNotary(data_dir=str(self._server.home / "data"))
        (notary.sign if trusted else notary.unsign)(nbformat.read(path, as_version=4))
        notary.store.close()
        page = self._notebook_page(path, width, height)
        page.open_without_kernel(self._address(path))
        return page

    def export(self, notebook: Path, theme: Literal["light", "dark"] = "light") -> Path:
        """The saved notebook as an HTML file, by ``jupyter nbconvert --to html``."""
        command = [sys.executable, "-m", "nbconvert", "--to", "html", f"--theme={theme}", str(notebook)]
        done = subprocess.run(
            command, env=self._server.environment, capture_output=True, text=True, timeout=EXPORT_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return notebook.with_suffix(".html")

    def open_html(
        self, path: Path, *, width: int = 1400, height: int = 1000, theme: Literal["light", "dark"] = "light"
    ) -> Page:
        """Open an HTML file without any network, in a browser that prefers this theme.

        What it asks of other places is refused, as on a train, and is no problem; an error of its own is one.
        """
        page = self._browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
        page.route(re.compile("^https?:"), lambda route: route.abort("internetdisconnected"))
        self._pages.append(page)
        self._ears.append(Ears(page, network=False))
        page.goto(path.as_uri())
        return page

    def look(self, page: NotebookPage | Page, name: str) -> Look:
        """Take a picture of the window and keep it in ``out/screenshots``."""
        shown = page.page if isinstance(page, NotebookPage) else page
        return look_at(shown, PICTURES / f"{self._test}-{name}.png")

    def leave(self, page: NotebookPage) -> None:
        """Close the tab; its kernel goes on."""
        page.page.close()
        self._pages.remove(page.page)

    def close(self) -> list[str]:
        """Keep a last picture of every page, close them, end the kernels; what the pages complained of."""
        for number, page in enumerate(self._pages):
            look_at(page, PICTURES / f"{self._test}-end{number or ''}.png")
            page.close()
        self._pages.clear()
        self._server.end_kernels()
        return [problem for ears in self._ears for problem in ears.problems]

    def kernels(self) -> int:
        """How many kernels run on this front end's server."""
        return self._server.kernels()

    def _address(self, notebook: Path) -> str:
        return self._server.address(notebook.relative_to(self._server.folder).as_posix())

    def _notebook_page(self, notebook: Path, width: int, height: int) -> NotebookPage:
        shown = self._browser.new_page(viewport={"width": width, "height": height})
        self._pages.append(shown)
        page = NotebookPage(shown, notebook)
        self._ears.append(page)
        return page
