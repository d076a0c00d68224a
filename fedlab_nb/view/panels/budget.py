"""The privacy budget: spent of agreed, where it is going, and what other noise would do."""

from __future__ import annotations

from html import escape

from fedlab_nb.cards import panel, table_html
from fedlab_nb.records import Snapshot, WhatIf
from fedlab_nb.units import delta_text, epsilon_text, number
from fedlab_nb.view.draw.curves import thinned


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
    body += _spark(snapshot, style) + _outlook(snapshot) + _what_if(snapshot)
    if spending.lines:
        parts = table_html(("what left the owners", "ε alone"), spending.lines)
        body += f'<details data-key="spent"><summary>What it went on</summary>{parts}</details>'
    claim = f'<details data-key="claim"><summary>What this epsilon promises</summary><p>{escape(spending.claim)}</p>'
    return panel("Privacy budget", f"{body}{claim}</details>", name="budget")


def _outlook(snapshot: Snapshot) -> str:
    """In a sentence or two: where the budget is going."""
    spending = snapshot.spending
    rest = snapshot.num_rounds - snapshot.at
    words = escape(spending.first_words) or _left(spending.left).strip()
    if rest > 0 and spending.left is not None and spending.left < rest:
        words += f" The budget ends the run at round {snapshot.at + spending.left} of {snapshot.num_rounds}."
    elif rest > 0 and spending.forecast is not None:
        words = f"After round {snapshot.num_rounds}: ε {epsilon_text(spending.forecast)}. {words}"
    return f'<p data-testid="budget-outlook">{words}</p>' if words else ""


def _what_if(snapshot: Snapshot) -> str:
    """Less and more noise for the rounds to come: how many would fit, and where epsilon would end."""
    spending = snapshot.spending
    if not spending.what_if or spending.noise_multiplier is None:
        return ""
    rows = [
        (
            number(future.noise_multiplier) + " (now)" * (future.noise_multiplier == spending.noise_multiplier),
            "any" if future.rounds is None else future.rounds,
            _end(future, snapshot),
        )
        for future in spending.what_if
    ]
    table = table_html(("noise multiplier", "rounds that fit", f"ε after round {snapshot.num_rounds}"), rows)
    return f'<details data-key="what-if"><summary>What if the noise were another?</summary>{table}</details>'


def _end(future: WhatIf, snapshot: Snapshot) -> str:
    if future.rounds is not None and future.rounds < snapshot.num_rounds - snapshot.at:
        return f"ends at round {snapshot.at + future.rounds}"
    return epsilon_text(future.epsilon)


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
    ahead, end, ends = snapshot.spending.forecast, float(last), ""
    left = snapshot.spending.left
    if left is not None and left < last - snapshot.at:
        ahead, end = agreed, float(snapshot.at + left)
    if ahead is not None and points[-1][0] < end:
        path = f"M{x(points[-1][0]):.1f} {y(points[-1][1]):.1f}L{x(end):.1f} {y(min(ahead, top)):.1f}"
        ends = f'<path d="{path}" style="fill:none;stroke:var(--fl-{style});stroke-width:2;stroke-dasharray:1.5 3"/>'
    edge = f"{x(points[-1][0]):.1f},58 {x(points[0][0]):.1f},58"
    ink = "fill:var(--fl-soft);font-size:9.5px"
    return (
        '<svg class="fl-spark" viewBox="0 0 300 72" aria-hidden="true">'
        f'<polygon points="{line} {edge}" style="fill:var(--fl-{style});opacity:.16"/>'
        f'<polyline points="{line}" style="fill:none;stroke:var(--fl-{style});stroke-width:2"/>{ends}'
        f'<path d="M4 {y(agreed):.1f}H296" style="stroke:var(--fl-soft);stroke-dasharray:4 3;fill:none"/>'
        '<path d="M4 58H296" style="stroke:var(--fl-line);fill:none"/>'
        f'<text x="4" y="69" style="{ink}">round 1</text>'
        f'<text x="296" y="69" text-anchor="end" style="{ink}">{last}</text>'
        f'<text x="4" y="{y(agreed) + 11:.1f}" style="{ink}">agreed ε {epsilon_text(agreed)}</text></svg>'
    )
