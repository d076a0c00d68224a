"""What crossed between parties: bytes, who sees what with the messages themselves, and who could learn what."""

from __future__ import annotations

from html import escape

from fedlab_nb.cards import Html, panel, table_html
from fedlab_nb.records import Access, Message, Snapshot
from fedlab_nb.units import bytes_text, times_text
from fedlab_nb.view.cards import access_word, threat_html
from fedlab_nb.view.draw.curves import traffic_total
from fedlab_nb.view.words import from_the_vault

MOST_KINDS = 6
PARTIES = ("Owner", "Server", "Key holder")


def _plainly(snapshot: Snapshot, id_bytes: int) -> str:
    if from_the_vault(snapshot):
        return "told to the owners; what they were to answer had been kept, so that nothing left them"
    if id_bytes:
        return f"sent in the clear, no numbers were encrypted; {bytes_text(id_bytes)} more were hidden ids"
    return "sent in the clear, nothing was encrypted"


def traffic_panel(snapshot: Snapshot) -> str:
    """Bytes so far: sealed messages if sent in the clear and as sent, the price of secrecy, and each kind."""
    total = traffic_total(snapshot)
    if not total.all_bytes:
        return panel("Traffic so far", "<p>Nothing has been sent yet.</p>", name="traffic")
    rows: list[tuple[object, ...]] = []
    if total.factor is not None:
        price = (
            f'<div class="fl-line"><span class="fl-big fl-seal" data-testid="traffic-factor">{times_text(total.factor)}'
            f'</span><span class="fl-soft">the price of secrecy: {bytes_text(total.sealed_bytes)} sent encrypted '
            f"instead of {bytes_text(total.sealed_plain)} in the clear</span></div>"
        )
    else:
        price = (
            f'<div class="fl-line"><span class="fl-big">{bytes_text(total.all_bytes - total.id_bytes)}</span>'
            f'<span class="fl-soft">{_plainly(snapshot, total.id_bytes)}</span></div>'
        )
    for kind, messages, nbytes, encrypted in total.kinds[:MOST_KINDS]:
        mark = '<span class="fl-seal">◆ sealed</span>' if encrypted else '<span class="fl-soft">○ clear</span>'
        rows.append((kind, messages, bytes_text(nbytes), Html(mark)))
    others = total.kinds[MOST_KINDS:]
    if others:
        rest = bytes_text(sum(nbytes for _, _, nbytes, _ in others))
        rows.append(("everything else", sum(n for _, n, _, _ in others), rest, ""))
    return panel("Traffic so far", price + table_html(("what", "messages", "bytes", ""), rows), name="traffic")


def access_panel(snapshot: Snapshot) -> str:
    """Who sees what, counted in the ledger; below each kind its newest message, to be opened as each party holds it."""
    if not snapshot.access:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", *PARTIES))
    rows = "".join(_access_row(row) for row in snapshot.access)
    table = f'<table class="fl-access"><thead><tr>{head}</tr></thead>{rows}</table>'
    return panel("Who sees what", table, note="Open a line to see the newest message itself.", name="access")


def _access_row(row: Access) -> str:
    marks = "".join(f"<td>{access_word(word)}</td>" for word in (row.owner, row.server, row.key_holder))
    line = f'<tr><th scope="row">{escape(row.kind)}</th>{marks}</tr>'
    newest = max((m for m in row.samples if m is not None), key=lambda m: m.number, default=None)
    if newest is None:
        return f"<tbody>{line}</tbody>"
    held = zip(PARTIES, (row.owner, row.server, row.key_holder), row.samples, strict=True)
    inside = "".join(f"<dt>{party}</dt><dd>{_held(word, message)}</dd>" for party, word, message in held)
    told = f"round {newest.round}: {escape(newest.sender)} → {escape(newest.receiver)}, {bytes_text(newest.nbytes)}"
    key = escape(row.kind, quote=True)
    return (
        f'<tbody>{line}<tr class="fl-peek"><td colspan="4"><details data-key="{key}"><summary>{told}</summary>'
        f"<dl>{inside}</dl></details></td></tr></tbody>"
    )


def _held(word: str, message: Message | None) -> str:
    """What one party finds on opening its newest message of a kind."""
    if word == "own":
        return "its own numbers, before they leave"
    if message is None or word == "never":
        return "nothing of the kind"
    kind = "" if word == "sealed" else "reads "
    return f"{kind}<code>{escape(str(message.peek))}</code> <span>(round {message.round})</span>"


def threats_panel(snapshot: Snapshot) -> str:
    """The threat card."""
    if not snapshot.threats:
        return ""
    title = "Who could learn what, with these settings"
    return panel(title, threat_html(snapshot.threats), name="threats")
