"""Cards: small static HTML for one object, in both themes, without script; and their plain-text twins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fedlab_nb.records import Access, Threat
from fedlab_nb.view.style import core_sheet

ACCESS_WORDS = {
    "own": ("●", "own", "fl-good"),
    "reads": ("○", "reads", "fl-maybe"),
    "sealed": ("◆", "sealed", "fl-seal"),
    "never": ("–", "never", "fl-soft"),
}
THREAT_WORDS = {True: ("✓", "safe", "fl-good"), False: ("✕", "exposed", "fl-bad"), None: ("?", "depends", "fl-maybe")}


class Html(str):
    """A string that is HTML already; every other string is escaped before it is shown."""

    __slots__ = ()


def shown(value: object) -> str:
    """``value`` as HTML: a number right as it is, any other string escaped, ``Html`` untouched."""
    return value if isinstance(value, Html) else escape(str(value), quote=True)


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
    """Whether a column holds numbers only, as numbers or as text such as "2.1 MB"; a dash stands for none."""
    texts = [str(v) for v in column]
    return any(t[:1].isdigit() for t in texts) and all(
        t in ("–", "None") or t[:1].isdigit() or t[:1] == "-" for t in texts
    )


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


def _word(symbol: str, word: str, style: str) -> Html:
    return Html(f'<span class="{style} fl-word"><span aria-hidden="true">{symbol}</span> {word}</span>')


def access_html(access: Iterable[Access]) -> str:
    """Who sees what, without a frame: symbol and word, never colour alone."""
    columns = ("", "Owner", "Server", "Key holder")
    marks = [(row.kind, *(_word(*ACCESS_WORDS[w]) for w in (row.owner, row.server, row.key_holder))) for row in access]
    return table_html(columns, marks)


def access_table(access: Sequence[Access]) -> str:
    """The card "who sees what": for each kind of thing what owner, server and key holder can do with it."""
    note = "own: it is theirs. reads: arrives readable. sealed: arrives as ciphertext, no key. never: does not arrive."
    return framed(panel("Who sees what", access_html(access), note=note))


def access_text(access: Sequence[Access]) -> str:
    """``access_table`` for a terminal."""
    lines = [f"{'who sees what':<28}{'owner':<10}{'server':<10}key holder"]
    lines += [f"{row.kind:<28}{row.owner:<10}{row.server:<10}{row.key_holder}" for row in access]
    return "\n".join(lines)


def threat_html(threats: Iterable[Threat]) -> str:
    """The lines of the threat card without a frame: symbol and word, never colour alone."""
    rows = [(_word(*THREAT_WORDS[t.safe]), t.who, t.could_read) for t in _worst_first(threats)]
    return table_html(("", "Who", "could learn"), rows)


def _worst_first(threats: Iterable[Threat]) -> list[Threat]:
    return sorted(threats, key=lambda t: {False: 0, None: 1, True: 2}[t.safe])


def threat_card(threats: Sequence[Threat], note: str = "") -> str:
    """The threat card of one run: who, alone or together, could learn what; what is exposed comes first."""
    return framed(panel("Who could learn what, with these settings", threat_html(threats), note=note))


def threat_text(threats: Sequence[Threat], note: str = "") -> str:
    """``threat_card`` for a terminal.

    >>> print(threat_text([Threat("the server", "one owner's update", True)]))
    Who could learn what, with these settings
      ✓ safe      the server: one owner's update
    """
    lines = ["Who could learn what, with these settings"]
    for threat in _worst_first(threats):
        symbol, word, _ = THREAT_WORDS[threat.safe]
        lines.append(f"  {symbol} {word:<10}{threat.who}: {threat.could_read}")
    return "\n".join([*lines, note] if note else lines)
