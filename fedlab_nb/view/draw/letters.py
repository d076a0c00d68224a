"""Words in a drawing: escaped, measured without a browser, and cut where they are too wide."""

from __future__ import annotations

import unicodedata
from html import escape

from fedlab_nb.cards import one_line


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: float,
    anchor: str = "start",
    weight: int = 400,
    fill: str = "",
    room: float | None = None,
) -> str:
    """Words at a place as an SVG element, escaped; shortened where they are wider than ``room``."""
    shown = escape(clean(words) if room is None else fit(words, size, room, weight), quote=True)
    colour = f' fill="{fill}"' if fill else ""
    aligned = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}"{aligned}{colour}>{shown}</text>'


def width_of(words: str, size: float, weight: int = 400) -> float:
    """About how wide words are drawn at most: letters of a wide system font, and those of East Asia."""
    letter = 0.58 if weight < 600 else 0.66
    return sum(1.0 if unicodedata.east_asian_width(c) in "WF" else letter for c in words) * size


def fit(words: str, size: float, room: float, weight: int = 400) -> str:
    """Words without line breaks, cut with an ellipsis where they are too wide.

    >>> fit("Hospital of the university", 12, 70)
    'Hospital…'
    """
    line = clean(words)
    if width_of(line, size, weight) <= room:
        return line
    while line and width_of(f"{line}…", size, weight) > room:
        line = line[:-1]
    return f"{line.rstrip()}…" if line else ""


def clean(words: str) -> str:
    """Words on one line, without what XML does not allow: one such character would cost the whole picture."""
    return "".join(letter for letter in one_line(words) if letter.isprintable())
