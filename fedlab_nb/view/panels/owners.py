"""The owners, one a line: only what was released, what the server could read, and what their accounts say."""

from __future__ import annotations

from collections.abc import Callable

from fedlab_nb.cards import Html, panel, shown
from fedlab_nb.records import OwnerLine, Snapshot
from fedlab_nb.units import epsilon_text, metric_name, number
from fedlab_nb.view.draw.curves import traffic_total

Cell = Callable[[OwnerLine], object]


def owners_panel(snapshot: Snapshot) -> str:
    """One row an owner: taking part, rows, score, that of its own model, contribution, epsilon left, seconds.

    A column that nobody may see is left out, and the note says why.
    """
    if not snapshot.lines:
        return ""
    lines = snapshot.lines
    columns: list[tuple[str, Cell]] = [("owner", _name), ("rounds", lambda o: o.rounds)]
    if any(o.rows is not None for o in lines):
        columns.append(("rows", lambda o: "–" if o.rows is None else f"{o.rows:,}"))
    if any(o.score is not None for o in lines):
        columns.append((metric_name(snapshot.metric), lambda o: number(o.score)))
    if any(o.own_score is not None for o in lines):
        columns.append(("own model", lambda o: number(o.own_score)))
    if snapshot.between is None:
        columns.append(("contribution", _contribution(sealed=traffic_total(snapshot).sealed_bytes > 0)))
    if any(o.epsilon_left is not None for o in lines):
        columns.append(("ε left", lambda o: epsilon_text(o.epsilon_left)))
    if any(o.seconds is not None for o in lines):
        columns.append(("seconds", lambda o: "–" if o.seconds is None else f"{o.seconds:.2g}"))
    head = "".join(f'<th scope="col"{"" if i == 0 else _NUM}>{shown(name)}</th>' for i, (name, _) in enumerate(columns))
    body = "".join(
        f'<tr data-owner="{i}">'
        + "".join(f"<td{'' if j == 0 else _NUM}>{shown(cell(line))}</td>" for j, (_, cell) in enumerate(columns))
        + "</tr>"
        for i, line in enumerate(lines)
    )
    table = f'<div class="fl-owners"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return panel(f"{len(lines)} owners", table, note=_note(snapshot), name="owners")


_NUM = ' class="fl-num"'


def _name(line: OwnerLine) -> Html:
    mark, style, words = ("●", "fl-good", "took part in the newest round")
    if line.dropped:
        mark, style, words = "✕", "fl-bad", "dropped out of the newest round"
    elif not line.present:
        mark, style, words = "○", "fl-soft", "not in the newest round"
    return Html(f'<span class="{style}" role="img" aria-label="{words}">{mark}</span> {shown(line.name)}')


def _contribution(*, sealed: bool) -> Cell:
    def cell(line: OwnerLine) -> object:
        if line.share is not None:
            return f"{line.share:.0%}"
        return Html('<span class="fl-seal">◆ sealed</span>') if sealed and line.present else "–"

    return cell


def _note(snapshot: Snapshot) -> str:
    """What the columns mean, and why some are not there."""
    lines = snapshot.lines
    parts = ["✕ dropped out: it sent no update in the newest round."] if any(o.dropped for o in lines) else []
    if any(o.share is not None for o in lines):
        parts.append("Contribution: the length (L2) of an owner's update among all readable ones of the newest round.")
    elif traffic_total(snapshot).sealed_bytes and snapshot.between is None:
        parts.append(
            "Contribution: single updates are sealed; no party alone can tell how much an owner moved the model."
        )
    if any(o.own_score is not None for o in lines):
        parts.append(f"Own model: the {metric_name(snapshot.metric)} of the model that an owner has for itself.")
    if snapshot.history and snapshot.between is None and all(o.rows is None for o in lines):
        parts.append("Numbers of rows were not released.")
    if snapshot.history and all(o.score is None for o in lines):
        parts.append(f"No owner's own {metric_name(snapshot.metric)} has been released yet.")
    return " ".join(parts)
