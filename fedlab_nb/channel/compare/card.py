"""The table that a teacher projects: a column for each way to send the same numbers, rows in the order of questions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from fedlab_nb.cards import Html, core_css, folded, image, marked, panel, shown, table_html
from fedlab_nb.channel.compare.comparison import ChannelComparison, ChannelFigures, dropped_words
from fedlab_nb.channel.compare.readers import keyring, travels
from fedlab_nb.crypto import BFV, SecAgg
from fedlab_nb.records import Peek
from fedlab_nb.units import bytes_text, counted, power_text
from fedlab_nb.view.keyring import keyring_svg, keyring_words
from fedlab_nb.view.style import static

# So many of the first numbers of an owner are shown.
SHOWN = 4

Row = Callable[[ChannelFigures, ChannelComparison], str]


def comparison_card(compared: ChannelComparison) -> str:
    """The comparison as a card of its own, with its style sheet."""
    title = f"The same sum in {counted(len(compared.columns), 'way')}: who sees what, and what it costs"
    note = (
        "Measured just now, in this notebook: every figure is read off a real sum, with fresh keys. Times are those of "
        "this machine, with all parties one after another. In every sum the server and all owners but one could work "
        "out what that one sent."
    )
    return with_sheet(panel(title, comparison_html(compared), note=note))


def with_sheet(body: str) -> str:
    """A body of cards with the style sheet of cards and that of the comparison."""
    return f'<div class="fl"><style>{core_css()}{static("compare.css")}</style>{body}</div>'


def comparison_html(compared: ChannelComparison) -> str:
    """The comparison without a frame: what was sent, the table, and every step below; needs ``compare.css``."""
    own = ", ".join(f"{value:.3f}" for value in compared.own[:SHOWN])
    gone = f" {counted(compared.dropouts, 'owner')} dropped out of this sum." if compared.dropouts else ""
    more = ", …" if compared.numbers > SHOWN else "."
    lead = (
        f"{compared.owners} owners send {counted(compared.numbers, 'invented number')} each, and those of Owner 1 "
        f"begin with {own}{more}{gone}"
    )
    heads = f"<td></td>{''.join(_heading(column) for column in compared.columns)}"
    body = "".join(_row(question, tell, compared) for question, tell in _rows(compared))
    table = f'<table class="fl-four" style="--n:{len(compared.columns)}"><thead><tr>{heads}</tr></thead>'
    return (
        f'<p class="fl-lead">{shown(lead)}</p><div class="fl-vs">{table}<tbody>{body}</tbody></table></div>'
        + _steps(compared)
    )


def _title(column: ChannelFigures) -> tuple[str, str]:
    """The name of a column in two parts: what it is, and its settings."""
    if column.scheme is None:
        return "No protection", "numbers as they are"
    if isinstance(column.scheme, SecAgg):
        return "Masks", column.name.replace("masks (", "").replace(")", "")
    kind = "BFV" if isinstance(column.scheme, BFV) else "CKKS"
    return kind, column.name.removeprefix(f"{kind}, ")


def _heading(column: ChannelFigures) -> str:
    title, settings = _title(column)
    mark = ' class="fl-open"' if column.scheme is None else ""
    return f'<th scope="col"{mark}><span>{shown(title)}<small>{shown(settings)}</small></span></th>'


def _row(question: str, tell: Row, compared: ChannelComparison) -> str:
    titles = [_title(column) for column in compared.columns]
    kinds = [title for title, _ in titles]
    named = [title if kinds.count(title) == 1 else f"{title}, {settings}" for title, settings in titles]
    cells = "".join(
        f'<td data-of="{shown(name)}">{tell(column, compared)}</td>'
        for name, column in zip(named, compared.columns, strict=True)
    )
    return f'<tr><th scope="row">{shown(question)}</th>{cells}</tr>'


def _rows(compared: ChannelComparison) -> tuple[tuple[str, Row], ...]:
    """What is asked of every column, in the order in which a student asks."""
    gone = counted(max(compared.dropouts, 1), "owner drops", "owners drop")
    return (
        ("Who holds which key", _keys),
        ("What the server finds in Owner 1's message", _found),
        ("Who could read one update", _readers),
        ("Bytes of one update", _bytes),
        ("Time of one sum", _time),
        ("Is the sum exact?", _exact),
        (f"If {gone} out", _dropouts),
        ("Steps, one after another", _count),
    )


def _keys(column: ChannelFigures, compared: ChannelComparison) -> str:
    held = keyring(column.scheme, [f"Owner {i + 1}" for i in range(compared.owners)])
    how = travels(column.scheme)
    return image(keyring_svg(held, how), keyring_words(held, how))


def _found(column: ChannelFigures, _: ChannelComparison) -> str:
    if column.found is None:
        return _none()
    mark = marked("○", "reads it", "fl-bad") if column.found.readable else marked("◆", "cannot read it", "fl-seal")
    return mark + found_html(column.found)


def found_html(peek: Peek) -> Html:
    """What is found on opening a message: first numbers, words, or the first bytes of keys and of what is sealed."""
    if isinstance(peek.head, str):
        hexed = not peek.readable or bool(peek.note)
        head = " ".join(peek.head[i : i + 4] for i in range(0, len(peek.head), 4)) if hexed else peek.head
        more = hexed or sum(peek.shape) > len(peek.head)
    else:
        head = ", ".join(f"{value:.3f}" for value in peek.head[:SHOWN])
        more = math.prod(peek.shape) > SHOWN
    clear = " fl-clear" if peek.readable else ""
    return Html(f'<code class="fl-found{clear}">{shown(head)}{" …" if more else ""}</code>')


def _readers(column: ChannelFigures, _: ChannelComparison) -> str:
    return "".join(
        f'<span class="fl-one">{marked("✕" if r.alone else "?", r.who, "fl-bad" if r.alone else "fl-maybe")}'
        f"<small>{shown(r.how)}</small></span>"
        for r in column.readers
    )


def _bytes(column: ChannelFigures, compared: ChannelComparison) -> str:
    if not column.message_bytes:
        return _none()
    more = (
        f"{column.bytes_per_number:,.1f} bytes a number. With keys and answers an owner sends "
        f"{bytes_text(column.owner_bytes)}; {bytes_text(column.all_bytes)} cross in all"
    )
    return _bar(
        bytes_text(column.message_bytes), column.message_bytes, (c.message_bytes for c in compared.columns), more
    )


def _time(column: ChannelFigures, compared: ChannelComparison) -> str:
    stages = ", ".join(f"{stage} {_duration(spent)}" for stage, spent in column.stages.items())
    return _bar(_duration(column.seconds), column.seconds, (c.seconds for c in compared.columns), stages)


def _exact(column: ChannelFigures, _: ChannelComparison) -> str:
    if column.refused or column.grid_bits is None or column.error is None:
        why = f"{column.refused.what} {column.refused.why}" if column.refused else ""
        return marked("✕", "no sum", "fl-bad") + f"<small>{shown(why)}</small>"
    right = column.grid_error == 0
    said = "exact" if right else f"wrong by {_power(column.grid_error or 0)}"
    rounding = f"on a grid with steps of {power_text(2, -column.grid_bits)}: numbers are rounded to it first, which "
    moved = f"moves the sum by {_power(column.error)} at most"
    return marked("✓" if right else "✕", said, "fl-good" if right else "fl-bad") + f"<small>{rounding}{moved}</small>"


def _dropouts(column: ChannelFigures, _: ChannelComparison) -> str:
    dropped = column.dropped
    good = not dropped.refused and dropped.error == 0
    said = "no sum" if dropped.refused else f"exact sum of {dropped.left}" if good else "wrong sum"
    more = dropped_words(dropped).partition(": ")[2] if dropped.refused else _how(column)
    return marked("✓" if good else "✕", said, "fl-good" if good else "fl-bad") + f"<small>{shown(more)}</small>"


def _how(column: ChannelFigures) -> str:
    """How a channel gets over owners that drop out, and what that took."""
    again = column.dropped.again
    if again:
        return f"the others make a new key and seal again: {counted(again, 'more message')}"
    return (
        "the others help to take off what its masks left"
        if isinstance(column.scheme, SecAgg)
        else "those who are there are added"
    )


def _count(column: ChannelFigures, _: ChannelComparison) -> str:
    figure = f'<span class="fl-fig">{column.trips}</span>'
    return f"{figure}<small>{counted(column.messages, 'message')} in all</small>"


def _bar(figure: str, value: float, all_values: Iterable[float], more: str) -> str:
    """A large figure, a bar against the largest of its row, and what is behind it."""
    share = 100 * value / (max(all_values) or 1)
    bar = f'<span class="fl-rod"><i style="width:{share:.1f}%"></i></span>'
    return f'<span class="fl-fig">{shown(figure)}</span>{bar}<small>{shown(more)}</small>'


def _none() -> Html:
    return marked("–", "nothing was sent", "fl-soft")


def _duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.01 else f"{1000 * seconds:.1f} ms"


def _power(value: float) -> str:
    """A small number as it is written: ``2.6·10⁻⁸``."""
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits}·{power_text(10, int(power))}" if value else "0"


def _steps(compared: ChannelComparison) -> str:
    """Every step of every column, to be opened."""
    parts = []
    for column in compared.columns:
        rows = [
            (
                step.kind + (f" ({step.times}×)" if step.times > 1 else ""),
                f"{_party(step.sender)} → {_party(step.receiver)}",
                marked("◆", "sealed", "fl-seal") if step.sealed else marked("○", "readable", "fl-maybe"),
                step.messages,
                bytes_text(step.nbytes),
            )
            for step in column.steps
        ]
        table = table_html(("What", "From → to", "How", "Messages", "Bytes"), rows)
        parts.append(folded(column.name[:1].upper() + column.name[1:], table))
    return folded("Every message, step by step", "".join(parts))


def _party(role: str) -> str:
    return "owners" if role == "owner" else role
