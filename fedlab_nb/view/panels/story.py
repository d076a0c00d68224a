"""What happened, line by line and round by round."""

from __future__ import annotations

from html import escape

from fedlab_nb.cards import panel, table_html
from fedlab_nb.records import Note, Snapshot
from fedlab_nb.units import bytes_text, epsilon_text, metric_name, number, seconds_text

MOST_ROWS, MOST_NOTES, SHOWN_NOTES = 100, 60, 5


def notes_panel(snapshot: Snapshot) -> str:
    """What happened, newest first: pauses, changes, refusals, rewinds, and why it ended."""
    shown = list(reversed(snapshot.notes[-MOST_NOTES:]))
    if not shown:
        return ""
    earlier = "".join(map(_line, shown[SHOWN_NOTES:]))
    more = f'<details data-key="notes"><summary>earlier</summary><ol>{earlier}</ol></details>' if earlier else ""
    return panel("What happened", f"<ol>{''.join(map(_line, shown[:SHOWN_NOTES]))}</ol>{more}", name="notes")


def _line(note: Note) -> str:
    style = {"plain": "", "good": "fl-good", "warning": "fl-maybe", "bad": "fl-bad"}[note.tone]
    at = f"round {note.round}" if note.round else "start"
    when = f'<span class="fl-soft">{at} · {seconds_text(note.seconds)}</span>'
    return f'<li>{when} <span class="{style}">{escape(note.words)}</span></li>'


def rounds_panel(snapshot: Snapshot, *, unfolded: bool = False) -> str:
    """One row a round: metrics, epsilon, owners, bytes, seconds, and why it failed; of a long run the last hundred."""
    shown = snapshot.history[-MOST_ROWS:]
    names = list(dict.fromkeys(name for r in shown for name in r.metrics))
    columns = ("round", *(metric_name(n) for n in names), "epsilon", "owners", "sent", "seconds", "failed")
    rows = [
        (
            r.number,
            *(number(r.metrics.get(n)) for n in names),
            epsilon_text(r.epsilon) if snapshot.spending.private else "–",
            len(r.cohort),
            bytes_text(r.sent),
            f"{sum(r.seconds.values()):.2f}",
            str(r.failed)[:200] if r.failed else "",
        )
        for r in shown
    ]
    title = "Every round" if len(shown) == len(snapshot.history) else f"The last {MOST_ROWS} rounds"
    body = f'<div class="fl-rounds">{table_html(columns, rows)}</div>'
    fold = f"<details{' open' if unfolded else ''}><summary>{title}</summary>{body}</details>"
    return f'<section class="fl-card" data-testid="rounds">{fold}</section>' if rows else ""
