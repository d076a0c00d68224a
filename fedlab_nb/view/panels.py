"""The dashboard's panels as HTML: pure functions of a snapshot, the same for the live page and the saved one."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from fedlab_nb.records import Snapshot
from fedlab_nb.view.cards import Html, access_html, panel, table_html, threat_html
from fedlab_nb.view.draw.curves import curve, thinned, traffic_total
from fedlab_nb.view.draw.figures import chart_title
from fedlab_nb.view.draw.picture import snapshot_svg
from fedlab_nb.view.style import (
    bytes_text,
    delta_text,
    epsilon_text,
    full_sheet,
    metric_name,
    number,
    seconds_text,
    static,
    times_text,
)
from fedlab_nb.view.words import sentence

CHIPS = {
    "preparing": ("…", "fl-soft"),
    "running": ("▶", "fl-run"),
    "paused": ("❚❚", "fl-maybe"),
    "finished": ("✓", "fl-good"),
    "stopped": ("■", "fl-soft"),
    "interrupted": ("■", "fl-maybe"),
    "failed": ("✕", "fl-bad"),
    "budget spent": ("◆", "fl-maybe"),
}
MOST_DOTS, MOST_KINDS = 24, 6
MOST_ROWS = 100


def header_panel(snapshot: Snapshot) -> str:
    """Title, state, round, metric, time and a progress bar; below, why a round failed, if one did."""
    line = curve(snapshot)
    last = snapshot.history[-1].number if snapshot.history else 0
    share = 100 * min(last / max(snapshot.num_rounds, 1), 1.0)
    symbol, style = CHIPS[snapshot.state]
    about = "about " if line.rounds and line.noise[-1] else ""
    value = about + number(line.level[-1]) if line.rounds else "–"
    time = f"{seconds_text(snapshot.elapsed)} elapsed"
    if snapshot.state == "running" and snapshot.left is not None:
        time += f" · about {seconds_text(snapshot.left)} left"
    return (
        '<section class="fl-card fl-head"><div class="fl-line">'
        f'<span class="fl-name" data-testid="header-title">{escape(snapshot.title)}</span> '
        f'<span class="fl-chip {style}" role="status"><span aria-hidden="true">{symbol}</span> '
        f'<span data-testid="header-state">{snapshot.state}</span></span> '
        f'<span>round <b class="fl-big" data-testid="header-round">{last}</b> of {snapshot.num_rounds}</span> '
        f'<span class="fl-soft" data-testid="header-time">{time}</span> '
        f'<span class="fl-right">{escape(metric_name(snapshot.metric))} '
        f'<b class="fl-big" data-testid="header-metric">{value}</b></span></div>'
        f'<div class="fl-bar" role="progressbar" aria-label="rounds" aria-valuemin="0" aria-valuenow="{last}" '
        f'aria-valuemax="{snapshot.num_rounds}"><i class="{style}" style="width:{share:.1f}%"></i></div>'
        f"{_alarm(snapshot)}</section>"
    )


def _alarm(snapshot: Snapshot) -> str:
    """Why the newest round failed, in full; of earlier failures their number."""
    failed = [r for r in snapshot.history if r.failed is not None]
    if not failed:
        return ""
    many = f"✕ {len(failed)} failed round{'s' if len(failed) > 1 else ''}"
    if failed[-1] is not snapshot.history[-1] and snapshot.state != "failed":
        return f'<div class="fl-bad" data-testid="header-failed">{many}, marked on the chart</div>'
    told = f"✕ Round {failed[-1].number} failed · {failed[-1].failed}"
    return f'<p class="fl-alarm" data-testid="header-failed">{escape(told)}</p>'


def road_panel(snapshot: Snapshot) -> str:
    """The road of one round, party by party: who took part, what travels sealed, who opens what."""
    names = snapshot.owners
    taking = set(snapshot.history[-1].cohort) if snapshot.history else set()
    absent = snapshot.history[-1].failed.party if snapshot.history and snapshot.history[-1].failed else None
    dots = "".join(
        f'<i class="{"fl-out" if name == absent else "fl-on" if name in taking else ""}" '
        f'title="{escape(name, quote=True)}"></i>'
        for name in names[:MOST_DOTS]
    )
    more = f" +{len(names) - MOST_DOTS}" if len(names) > MOST_DOTS else ""
    part = (
        f"{len(taking)} of {len(names)} took part in round {snapshot.history[-1].number}"
        if taking
        else "keep their rows"
    )
    sealed = traffic_total(snapshot.history).sealed_bytes > 0
    crowd = f'Owners<span class="fl-dots" aria-hidden="true">{dots}</span>{more}'
    owners = f'<div class="fl-stop"><b>{crowd}</b> <span>{part}</span></div>'
    if not snapshot.history:
        hop, server, after = _hop("", "updates"), "adds the updates", ""
    elif sealed:
        hop, server = _hop("fl-seal", "◆ sealed"), "adds ciphertexts, has no key"
        opens = '<div class="fl-stop"><b>Key holder</b> <span>opens the sum of a round</span></div>'
        after = _hop("fl-seal", "◆ sealed sum") + opens
    else:
        hop, server, after = _hop("fl-maybe", "○ readable"), "reads what arrives, and adds it", ""
    stops = f'{owners}{hop}<div class="fl-stop"><b>Server</b> <span>{server}</span></div>{after}'
    return f'<section class="fl-card"><div class="fl-road" data-testid="road">{stops}</div></section>'


def _hop(style: str, words: str) -> str:
    return f'<div class="fl-hop {style}"><b aria-hidden="true">→</b> {words}</div>'


def chart_head(snapshot: Snapshot) -> str:
    """The chart's title in words and its key; a key beside the picture fits narrow pages, plotly's own does not."""
    line = curve(snapshot)
    keys = [("k-line", "best estimate" if line.noisy else "all owners together")]
    if line.noisy:
        keys += [("k-dot", "release with privacy noise"), ("k-band", "±1 sd of the noise")]
    if line.banded:
        keys.append(("k-band", "single owners, lowest to highest"))
    total = traffic_total(snapshot.history)
    keys.append(("k-plain", "bytes in the clear"))
    if total.sealed_bytes:
        keys.append(("k-sent", "bytes as sent, encrypted"))
    spans = "".join(f'<span><i class="{style}"></i>{words}</span>' for style, words in keys)
    if line.failed:
        spans += '<span><i class="k-fail">✕</i>failed round</span>'
    return f'<h4 data-testid="chart-title">{escape(chart_title(snapshot))}</h4><div class="fl-key">{spans}</div>'


def budget_panel(snapshot: Snapshot) -> str:
    """Epsilon spent of agreed with a meter, its curve and the claim; or "No guarantee" with the reason."""
    spending = snapshot.spending
    if not spending.private or spending.spent is None:
        body = '<div class="fl-big fl-maybe" data-testid="budget-value">No guarantee</div>'
        return panel("Privacy budget", body, note=spending.claim.removeprefix("No guarantee:").strip(), name="budget")
    share = spending.spent / spending.agreed if spending.agreed else 0.0
    style = "green" if share < 0.6 else "amber" if share < 0.85 else "red"
    of = f" of {epsilon_text(spending.agreed)} agreed" if spending.agreed is not None else " spent, no limit agreed"
    body = (
        f'<div class="fl-line"><span class="fl-big" style="color:var(--fl-{style})">ε <span data-testid="budget-value">'
        f"{epsilon_text(spending.spent)}</span></span><span>{of}</span>"
        f'<span class="fl-soft">δ = {delta_text(spending.delta)}, per {escape(spending.unit)}</span></div>'
    )
    if spending.agreed:
        body += (
            f'<div class="fl-meter" role="meter" aria-label="epsilon spent" aria-valuemin="0" '
            f'aria-valuemax="{spending.agreed:g}" aria-valuenow="{spending.spent:.3f}">'
            f'<i style="width:{100 * min(share, 1.0):.1f}%;background:var(--fl-{style})"></i></div>'
        )
    body += _spark(snapshot, style)
    parts = table_html(("what left the owners", "epsilon alone"), spending.lines) if spending.lines else ""
    return panel("Privacy budget", body + parts, note=spending.claim + _left(spending.left), name="budget")


def _left(rounds: int | None) -> str:
    if rounds is None:
        return ""
    return f" {rounds} more round{'' if rounds == 1 else 's'} would fit." if rounds else " No further round fits."


def _spark(snapshot: Snapshot, style: str) -> str:
    """Epsilon by round against the agreed limit, drawn small; the meter says the same to a screen reader."""
    points = [(float(r.number), r.epsilon) for r in snapshot.history if r.epsilon is not None]
    agreed, last = snapshot.spending.agreed, max(snapshot.num_rounds, 2)
    if len(points) < 2 or not agreed:
        return ""
    top = max(agreed, *(e for _, e in points)) * 1.05

    def x(n: float) -> float:
        return 4 + 292 * (n - 1) / (last - 1)

    def y(e: float) -> float:
        return 58 - 50 * e / top

    line = " ".join(f"{x(n):.1f},{y(e):.1f}" for n, e in thinned(points, 60))
    edge = f"{x(points[-1][0]):.1f},58 {x(points[0][0]):.1f},58"
    ink = "fill:var(--fl-soft);font-size:9.5px"
    return (
        '<svg class="fl-spark" viewBox="0 0 300 72" aria-hidden="true">'
        f'<polygon points="{line} {edge}" style="fill:var(--fl-{style});opacity:.16"/>'
        f'<polyline points="{line}" style="fill:none;stroke:var(--fl-{style});stroke-width:2"/>'
        f'<path d="M4 {y(agreed):.1f}H296" style="stroke:var(--fl-soft);stroke-dasharray:4 3;fill:none"/>'
        '<path d="M4 58H296" style="stroke:var(--fl-line);fill:none"/>'
        f'<text x="4" y="69" style="{ink}">round 1</text>'
        f'<text x="296" y="69" text-anchor="end" style="{ink}">{last}</text>'
        f'<text x="4" y="{y(agreed) + 11:.1f}" style="{ink}">agreed ε {epsilon_text(agreed)}</text></svg>'
    )


def traffic_panel(snapshot: Snapshot) -> str:
    """Bytes so far: sealed messages if sent in the clear and as sent, the price of secrecy, and each kind."""
    total = traffic_total(snapshot.history)
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
            f'<div class="fl-line"><span class="fl-big">{bytes_text(total.all_bytes)}</span>'
            '<span class="fl-soft">sent in the clear, nothing was encrypted</span></div>'
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
    """Who sees what, counted in the ledger."""
    return panel("Who sees what", access_html(snapshot.access), name="access") if snapshot.access else ""


def threats_panel(snapshot: Snapshot) -> str:
    """The threat card, with the run's note."""
    if not snapshot.threats:
        return ""
    title = "Who could learn what, with these settings"
    return panel(title, threat_html(snapshot.threats), note=snapshot.note, name="threats")


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
            bytes_text(sum(t.nbytes for t in r.traffic.values())),
            f"{sum(r.seconds.values()):.2f}",
            str(r.failed)[:200] if r.failed else "",
        )
        for r in shown
    ]
    title = "Every round" if len(shown) == len(snapshot.history) else f"The last {MOST_ROWS} rounds"
    body = f'<div class="fl-rounds">{table_html(columns, rows)}</div>'
    fold = f"<details{' open' if unfolded else ''}><summary>{title}</summary>{body}</details>"
    return f'<section class="fl-card" data-testid="rounds">{fold}</section>' if rows else ""


def picture(snapshot: Snapshot) -> str:
    """The static picture as an image element: it stays when an untrusted notebook is cleaned of everything else."""
    code = b64encode(snapshot_svg(snapshot, headline=False).encode()).decode()
    said = escape(sentence(snapshot), quote=True)
    return f'<img alt="{said}" style="width:100%;min-width:540px" src="data:image/svg+xml;base64,{code}">'


def static_html(snapshot: Snapshot, *, unfolded: bool = False) -> str:
    """The whole dashboard as static HTML: readable in a saved notebook, without kernel, script or network."""
    chart = panel(chart_title(snapshot), picture(snapshot), name="chart")
    main = f'{chart}{access_panel(snapshot)}<div class="fl-last">{threats_panel(snapshot)}</div>'
    side = budget_panel(snapshot) + traffic_panel(snapshot)
    return (
        f'<div class="fl fl-root">{full_sheet()}<div class="fl-stack">'
        f'<div class="fl-top">{header_panel(snapshot)}{road_panel(snapshot)}</div>'
        f'<div class="fl-grid"><div class="fl-side">{main}</div>'
        f'<div class="fl-side">{side}</div></div>{rounds_panel(snapshot, unfolded=unfolded)}</div></div>'
    )


def report_html(snapshot: Snapshot, title: str) -> str:
    """A complete HTML page of one run: nothing is loaded from anywhere, both themes, fit to print."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title></head><body><main>{static_html(snapshot, unfolded=True)}</main>"
        f"<style>{static('report.css')}</style></body></html>"
    )
