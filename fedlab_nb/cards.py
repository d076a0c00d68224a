"""Cards: small static HTML for one object, in both themes, without script; and their plain-text twins."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files


class Html(str):
    """A string that is HTML already; every other string is escaped before it is shown."""

    __slots__ = ()


@dataclass(frozen=True)
class Card:
    """Something that shows as HTML in a notebook and prints as text everywhere else."""

    text: str
    html: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.html


@cache
def core_css() -> str:
    """The rules that every card needs: colours of both themes, card, table."""
    return (files("fedlab_nb") / "cards.css").read_text(encoding="utf-8")


@cache
def core_sheet() -> str:
    """The style element that a single card carries."""
    return f"<style>{core_css()}</style>"


def shown(value: object) -> str:
    """``value`` as HTML: a number right as it is, any other string escaped, ``Html`` untouched."""
    return value if isinstance(value, Html) else escape(str(value), quote=True)


def marked(symbol: str, word: str, style: str) -> Html:
    """A symbol and its word in one colour, so that nothing is said by colour alone."""
    return Html(f'<span class="{style} fl-word"><span aria-hidden="true">{shown(symbol)}</span> {shown(word)}</span>')


def framed(body: str) -> str:
    """A body of cards with the style sheet that a single output needs."""
    return f'<div class="fl">{core_sheet()}{body}</div>'


def panel(title: object, body: str, *, note: object = "", name: str = "") -> str:
    """One card without its style sheet: a title, a body of HTML, a note below; ``name`` becomes a test id."""
    mark = f' data-testid="{escape(name, quote=True)}"' if name else ""
    below = f"<p>{shown(note)}</p>" if note else ""
    return f'<section class="fl-card"{mark}><h4>{shown(title)}</h4>{body}{below}</section>'


def pairs_html(rows: Iterable[tuple[object, object]]) -> str:
    """A table of names and values."""
    lines = "".join(f'<tr><th scope="row">{shown(k)}</th><td>{shown(v)}</td></tr>' for k, v in rows)
    return f"<table><tbody>{lines}</tbody></table>" if lines else ""


def table_html(columns: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table with a head; a column of numbers is right-aligned."""
    listed = [tuple(row) for row in rows]
    marks = [' class="fl-num"' if _numbers([row[i] for row in listed]) else "" for i in range(len(columns))]
    head = "".join(f'<th scope="col"{mark}>{shown(c)}</th>' for c, mark in zip(columns, marks, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{mark}>{shown(v)}</td>" for v, mark in zip(row, marks, strict=True)) + "</tr>"
        for row in listed
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _numbers(column: Sequence[object]) -> bool:
    """Whether a column holds numbers only, as numbers or as text such as "2.1 MB" or "<5"; a dash stands for none."""
    texts = [str(v) for v in column]
    digits = [t.lstrip("-<")[:1].isdigit() for t in texts]
    return any(digits) and all(is_number or t in ("–", "None") for t, is_number in zip(texts, digits, strict=True))


def card(title: str, rows: Sequence[tuple[str, object]], note: str = "") -> str:
    """Static HTML for one object: a title, named values, a note.

    Every string is escaped; nothing runs; the colours follow the page's theme and stand without one.

    >>> "<b>" in card("An owner", [("name", "<b>")])
    False
    """
    return framed(panel(title, pairs_html(rows), note=note))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], note: str = "") -> str:
    """Static HTML for a table with a title; every string is escaped, numbers are right-aligned."""
    return framed(panel(title, table_html(columns, rows), note=note))


def folded(summary: object, body: str) -> str:
    """A body of HTML that a reader opens by its summary; without script."""
    return f"<details><summary>{shown(summary)}</summary>{body}</details>"


def image(svg: str, said: str) -> str:
    """A picture as an image element with ``said`` for who cannot see it.

    Such an element stays where a front end cleans an untrusted notebook of inline drawings.
    """
    data = b64encode(svg.encode()).decode()
    return f'<img alt="{shown(said)}" style="width:100%" src="data:image/svg+xml;base64,{data}">'


def code(text: object) -> Html:
    """Text in letters of one width: bytes, digests, formulas."""
    return Html(f"<code>{shown(text)}</code>")


def one_line(text: object) -> str:
    r"""Text without line breaks, for what must stay one line whatever a user called it.

    >>> one_line("Clinic\n  A")
    'Clinic A'
    """
    return " ".join(str(text).split())
