"""A section of the report, and its three looks: plain text, Markdown and HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

from fedlab_nb.cards import Html, folded, marked, one_line, panel, shown, table_html

WIDTH = 100
# "1,234,567" or "396 kB", not a sentence.
LONGEST_NUMBER = 12
# A longer table is opened by whoever wants to read it.
MOST_LINES = 30
# Everything with a meaning in Markdown, so that a name stays a name.
_MEANT = re.compile(r"([\\`*_{}\[\]#|~])")


@dataclass(frozen=True)
class Mark:
    """A symbol and its word, in a colour where there are colours."""

    symbol: str
    word: str
    style: str

    def __str__(self) -> str:
        return f"{self.symbol} {self.word}"


Cell = str | Mark


@dataclass(frozen=True)
class Section:
    """A title, sentences below it, and a table if there is one; ``rows`` are as long as ``columns``."""

    title: str
    words: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()


def text(sections: Sequence[Section]) -> str:
    """For a terminal: each row of a table as a paragraph."""
    return "\n\n".join("\n".join([s.title, "-" * len(s.title), *_told(s)]) for s in sections)


def _told(section: Section) -> list[str]:
    told = [fill(one_line(words), WIDTH) for words in section.words]
    for first, *rest in section.rows:
        cells = [(name, one_line(cell)) for name, cell in zip(section.columns[1:], rest, strict=True)]
        short = f"* {one_line(first)}: {', '.join(f'{name.lower()} {cell}'.strip() for name, cell in cells)}"
        told += [short] if len(short) <= WIDTH else _paragraph(one_line(first), cells)
    return told


def _paragraph(first: str, cells: Sequence[tuple[str, str]]) -> list[str]:
    lines = [f"{name}: {cell}" if name else cell for name, cell in cells]
    indented = [fill(line, WIDTH, initial_indent="    ", subsequent_indent="      ") for line in lines]
    return [fill(f"* {first}", WIDTH, subsequent_indent="  "), *indented]


def markdown(sections: Sequence[Section]) -> str:
    """For a file: a heading, paragraphs and a table each."""
    return "\n\n".join("\n\n".join([f"## {_plain(s.title)}", *map(_plain, s.words), *_table(s)]) for s in sections)


def _table(section: Section) -> list[str]:
    if not section.rows:
        return []
    lines = [section.columns, ["---"] * len(section.columns), *section.rows]
    dashes = [" | ".join(map(str, line) if line is lines[1] else map(_plain, line)) for line in lines]
    return ["\n".join(f"| {line} |" for line in dashes)]


def _plain(cell: object) -> str:
    """Text in which nothing is markup."""
    escaped = _MEANT.sub(r"\\\1", one_line(cell))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def html(sections: Sequence[Section]) -> str:
    """Cards without their style sheet."""
    return "".join(panel(s.title, _body(s)) for s in sections)


def _body(section: Section) -> str:
    words = "".join(f"<p>{shown(words)}</p>" for words in section.words)
    if not section.rows:
        return words
    table = table_html(section.columns, [[_shown(cell) for cell in row] for row in section.rows])
    return words + (folded(f"All {len(section.rows)} lines", table) if len(section.rows) > MOST_LINES else table)


def _shown(cell: Cell) -> str | Html:
    if isinstance(cell, Mark):
        return marked(cell.symbol, cell.word, cell.style)
    # A sentence may begin with a digit; as an element it is not taken for a number and set to the right.
    return Html(f"<span>{shown(cell)}</span>") if len(cell) > LONGEST_NUMBER else cell
