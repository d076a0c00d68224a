"""A run as a file: a page, a drawing, or a picture for slides."""

from __future__ import annotations

import re
from contextlib import ExitStack
from html import unescape
from importlib.resources import as_file, files
from pathlib import Path

from fedlab_nb.errors import SettingError
from fedlab_nb.records import Snapshot
from fedlab_nb.view.draw.picture import WIDE, snapshot_svg
from fedlab_nb.view.panels import report_html

# Pixels of a picture for each pixel of the drawing: sharp on a projector and in print.
SHARPNESS = 2
# They ship with this package, so that letters appear on machines without any font too.
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
FAMILY = "DejaVu Sans"


def save(snapshot: Snapshot, path: str | Path, title: str) -> Path:
    """Write the run to ``path`` and return it: a page (.html), a drawing (.svg) or a picture for slides (.png).

    Raises:
        SettingError: if the ending is another one, or a picture would lack letters.
    """
    if not isinstance(path, str | Path):
        raise SettingError(
            f"A run was to be saved as {type(path).__name__}.", "A file has a name.", "Use a text such as 'my_run.png'."
        )
    path = Path(path)
    make = {".html": _page, ".svg": _drawing, ".png": _picture}.get(path.suffix.lower())
    if make is None:
        raise SettingError(
            f"A run was to be saved as {path.name!r}.",
            "The ending of the name says what to write, and only three are known: .html, .svg and .png.",
            "Use .html for a page with everything in it, .svg for a drawing, .png for slides: 'my_run.png'.",
        )
    content = make(snapshot, title)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise SettingError(
            f"The run could not be written to {str(path)!r} ({type(error).__name__}).",
            "The folder has to exist, and the name must not be that of a folder.",
            "Make the folder first, or choose another name.",
        ) from error
    return path


def _page(snapshot: Snapshot, title: str) -> bytes:
    return report_html(snapshot, title).encode()


def _drawing(snapshot: Snapshot, _: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{snapshot_svg(snapshot)}\n'.encode()


def _picture(snapshot: Snapshot, _: str) -> bytes:
    return png(snapshot_svg(snapshot), width=SHARPNESS * WIDE)


def png(svg: str, *, width: int) -> bytes:
    """A drawing as a PNG on white paper, ``width`` pixels wide.

    Raises:
        SettingError: if no font on this machine has some of its letters: they would be left out without a word.
    """
    lost = "".join(sorted(_undrawn(_letters(svg))))
    if lost:
        raise SettingError(
            f"The picture has letters that no font on this machine can draw: {lost}",
            "They would be missing in it without any sign.",
            "Save it as .svg or .html, which browsers show with fonts of their own, or install a font that has them.",
        )
    return _painted(svg, width=width, background="white")


def _letters(svg: str) -> set[str]:
    """Every letter that is written in the drawing."""
    written = re.sub(r"<[^>]*>", " ", svg)
    return {letter for letter in unescape(written) if letter.isprintable() and not letter.isspace()}


def _undrawn(letters: set[str]) -> set[str]:
    """The letters that no font here has: a drawing of nothing else comes out empty."""
    paper = '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" font-family="sans-serif">{}</svg>'
    text = '<text x="2" y="12" font-size="10">&#{};</text>'
    empty = _painted(paper.format(""))
    return {letter for letter in letters if _painted(paper.format(text.format(ord(letter)))) == empty}


def _painted(svg: str, *, width: int | None = None, background: str | None = None) -> bytes:
    import resvg_py

    with ExitStack() as opened:
        fonts = [str(opened.enter_context(as_file(files("fedlab_nb.view") / "static" / name))) for name in FONTS]
        return resvg_py.svg_to_bytes(
            svg_string=svg,
            width=width,
            background=background,
            font_files=fonts,
            font_family=FAMILY,
            sans_serif_family=FAMILY,
        )
