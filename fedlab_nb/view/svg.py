"""The picture that a saved notebook keeps: a few kilobytes of plain shapes, and one sentence that says the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape

from fedlab_nb.records import Snapshot
from fedlab_nb.view.curves import Bars, Curve, bars, curve, round_range, thinned, traffic_total, value_range
from fedlab_nb.view.style import (
    GREEN,
    MIDDLE,
    MIDDLE_BLUE,
    MIDDLE_RED,
    PURPLE,
    UNIT_METRICS,
    bytes_text,
    delta_text,
    epsilon_text,
    metric_name,
    number,
    times_text,
)

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, MIDDLE_Y, BARS_TOP, BOTTOM = 62, 706, 62, 276, 314, 384


def metric_words(line: Curve) -> str:
    """The metric's last value: ``accuracy 0.963``, or ``accuracy about 0.963 (noise ±0.020)`` where noise is in it."""
    name = metric_name(line.metric)
    if not line.rounds:
        return f"{name} not released yet"
    if line.noise[-1]:
        return f"{name} about {number(line.level[-1])} (noise ±{number(line.noise[-1])})"
    return f"{name} {number(line.values[-1])}"


def budget_words(snapshot: Snapshot) -> str:
    """Epsilon spent of agreed with its delta, or ``no privacy guarantee``; never an infinite number."""
    spending = snapshot.spending
    if not spending.private or spending.spent is None or not math.isfinite(spending.spent):
        return "no privacy guarantee"
    agreed = f" of {epsilon_text(spending.agreed)}" if spending.agreed is not None else ""
    delta = f" (delta {delta_text(spending.delta)})" if spending.delta is not None else ""
    return f"epsilon {epsilon_text(spending.spent)}{agreed}{delta}"


def traffic_words(snapshot: Snapshot) -> str:
    """What crossed: ``6.6 MB sent encrypted (32×)``, or bytes sent in the clear."""
    total = traffic_total(snapshot.history)
    if total.factor is not None:
        return f"{bytes_text(total.sealed_bytes)} sent encrypted ({times_text(total.factor)})"
    return f"{bytes_text(total.all_bytes)} sent in the clear"


def sentence(snapshot: Snapshot) -> str:
    """The run in one line of plain text, for terminals, screen readers and notebooks that show nothing else.

    Such as "Round 20 of 20, accuracy 0.963, epsilon 7.9 of 8 (delta 0.001), 6.6 MB sent encrypted (32×)".
    """
    last = snapshot.history[-1].number if snapshot.history else 0
    parts = [f"Round {last} of {snapshot.num_rounds}", metric_words(curve(snapshot)), budget_words(snapshot)]
    if snapshot.history:
        parts.append(traffic_words(snapshot))
    failures = sum(r.failed is not None for r in snapshot.history)
    if failures:
        parts.append(f"{failures} failed round{'s' if failures > 1 else ''}")
    if snapshot.state not in ("running", "finished"):
        parts.append("the run failed" if snapshot.state == "failed" else snapshot.state)
    return ", ".join(parts)


def text_progress(snapshot: Snapshot) -> str:
    """The newest round in one line, for scripts: "round 14 of 20  accuracy 0.964  epsilon 6.57 of 8  2 MB  0.2 s"."""
    if not snapshot.history:
        return f"{snapshot.title}: {snapshot.state}"
    last = snapshot.history[-1]
    head = f"round {last.number:>{len(str(snapshot.num_rounds))}} of {snapshot.num_rounds}"
    if last.failed is not None:
        return f"{head}  failed at {last.failed}"
    scores = [f"{metric_name(name)} {number(value)}" for name, value in last.metrics.items()]
    seconds = f"{sum(last.seconds.values()):.1f} s"
    crossed = bytes_text(sum(flow.nbytes for flow in last.traffic.values()))
    return "  ".join([head, *scores, budget_words(snapshot), crossed, seconds])


def snapshot_svg(snapshot: Snapshot, *, headline: bool = True, key: bool = True) -> str:
    """The run as one inline SVG: metric by round with its band, bytes by round, one line that sums it up.

    Plain shapes and text only (viewers drop style sheets and clip paths), colours midway between white and dark
    paper, at most eighty points a line: about 5 kB whatever the length of the run.
    """
    line = curve(snapshot)
    said = escape(sentence(snapshot), quote=True)
    low, high = value_range(line)
    last = round_range(snapshot)

    def x(number_: float) -> float:
        return LEFT + (RIGHT - LEFT) * (number_ - 0.5) / last

    def y(value: float) -> float:
        share = (value - low) / (high - low)
        return MIDDLE_Y - (MIDDLE_Y - TOP) * min(max(share, 0.0), 1.0)

    top = 0 if headline else 28 if key else 50
    body = [
        _grid(line, low, high, last, x, y),
        _metric(line, x, y),
        _bytes(bars(snapshot), last, x),
        _text(8, 22, said, size=min(15, int(1250 / len(said))), anchor="start", weight="600") if headline else "",
        _text(8, 46, _legend(line), size=11, anchor="start") if key else "",
        _text((LEFT + RIGHT) / 2, HEIGHT - 4, "round", size=11),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top} {WIDTH} {HEIGHT - top}" width="100%" '
        f'style="max-width:{WIDTH}px" role="img" aria-label="{said}" '
        f'font-family="system-ui,-apple-system,Segoe UI,sans-serif" fill="{MIDDLE}">{"".join(body)}</svg>'
    )


Scale = Callable[[float], float]


def _text(
    x: float, y: float, words: str, *, size: int = 10, anchor: str = "middle", weight: str = "400", fill: str = ""
) -> str:
    colour = f' fill="{fill}"' if fill else ""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}"'
        f"{colour}>{words}</text>"
    )


def _rule(x1: float, y1: float, x2: float, y2: float, *, opacity: float = 0.3, colour: str = MIDDLE) -> str:
    return (
        f'<path d="M{x1:.0f} {y1:.1f}L{x2:.0f} {y2:.1f}" stroke="{colour}" stroke-opacity="{opacity}" '
        'stroke-width="1" fill="none"/>'
    )


def _legend(line: Curve) -> str:
    key = [f'<tspan fill="{MIDDLE_BLUE}">━ {escape(metric_name(line.metric))} on held-out rows, all owners</tspan>']
    if line.noisy:
        key = [
            f'<tspan fill="{MIDDLE_BLUE}">━ {escape(metric_name(line.metric))}, best estimate</tspan>',
            f'<tspan fill="{MIDDLE_BLUE}" fill-opacity=".8">● releases with privacy noise</tspan>',
            f'<tspan fill="{MIDDLE_BLUE}" fill-opacity=".8">▒ ±1 sd of that noise</tspan>',
        ]
    if line.banded:
        key.append(f'<tspan fill="{MIDDLE_BLUE}" fill-opacity=".8">▒ single owners, lowest to highest</tspan>')
    if line.failed:
        key.append(f'<tspan fill="{MIDDLE_RED}">✕ failed round</tspan>')
    return "   ".join(key)


def _grid(line: Curve, low: float, high: float, last: int, x: Scale, y: Scale) -> str:
    parts = []
    for i in range(5):
        value = low + (min(high, 1.0) - low if line.metric in UNIT_METRICS else high - low) * i / 4
        parts.append(_rule(LEFT, y(value), RIGHT, y(value), opacity=0.5 if i == 0 else 0.22))
        parts.append(_text(LEFT - 8, y(value) + 4, f"{value:.3g}", anchor="end"))
    step = max(1, math.ceil(last / 10))
    parts += [_text(x(n), BOTTOM + 14, str(n)) for n in range(step, last + 1, step)]
    if not line.rounds:
        parts.append(
            _text(
                (LEFT + RIGHT) / 2,
                (TOP + MIDDLE_Y) / 2,
                f"no {escape(metric_name(line.metric))} has been released yet",
                size=13,
            )
        )
    return "".join(parts)


def _area(points: list[tuple[float, float, float]], x: Scale, y: Scale, opacity: float) -> str:
    """A filled band through (round, lowest, highest)."""
    upper = thinned([(n, high) for n, _, high in points])
    lower = thinned([(n, low) for n, low, _ in points])
    if len(upper) == 1:
        upper = [(upper[0][0] - 0.2, upper[0][1]), (upper[0][0] + 0.2, upper[0][1])]
        lower = [(lower[0][0] - 0.2, lower[0][1]), (lower[0][0] + 0.2, lower[0][1])]
    corners = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in [*upper, *reversed(lower)])
    return f'<polygon points="{corners}" fill="{MIDDLE_BLUE}" fill-opacity="{opacity}"/>' if corners else ""


def _metric(line: Curve, x: Scale, y: Scale) -> str:
    parts = []
    owners = [
        (float(n), low, high)
        for n, low, high in zip(line.rounds, line.lowest, line.highest, strict=True)
        if low is not None and high is not None
    ]
    parts.append(_area(owners, x, y, 0.28))
    if line.noisy:
        noise = zip(line.rounds, line.level, line.noise, strict=True)
        parts.append(_area([(float(n), v - s, v + s) for n, v, s in noise], x, y, 0.22))
        dots = thinned(zip(line.rounds, line.values, strict=True))
        parts += [f'<circle cx="{x(n):.1f}" cy="{y(v):.1f}" r="2.4" fill-opacity=".5" {_FILL}/>' for n, v in dots]
    points = thinned(zip(line.rounds, line.level, strict=True))
    path = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{MIDDLE_BLUE}" stroke-width="2.5"/>')
    if points:
        parts.append(f'<circle cx="{x(points[-1][0]):.1f}" cy="{y(points[-1][1]):.1f}" r="4" {_FILL}/>')
    for n, _ in thinned((float(n), 0.0) for n, _ in line.failed):
        parts.append(_rule(x(n), TOP, x(n), MIDDLE_Y, opacity=0.35, colour=MIDDLE_RED))
        parts.append(_text(x(n), MIDDLE_Y - 4, "✕", size=12, weight="700", fill=MIDDLE_RED))
    return "".join(parts)


_FILL = f'fill="{MIDDLE_BLUE}"'


def _bytes(data: Bars, last: int, x: Scale) -> str:
    shown = [v for v in (*data.plain, *data.sent) if v > 0]
    if not shown:
        return ""
    low, high = math.floor(math.log10(min(shown)) - 0.2), math.ceil(math.log10(max(shown)))
    high = max(high, low + 1)

    def height(value: float) -> float:
        return (BOTTOM - BARS_TOP) * (math.log10(value) - low) / (high - low) if value > 0 else 0.0

    width = (RIGHT - LEFT) / last * data.each * 0.36
    parts = [_rule(LEFT, BOTTOM, RIGHT, BOTTOM, opacity=0.5)]
    for power in range(low, high + 1, max(1, (high - low) // 2)):
        level = BOTTOM - height(10.0**power)
        parts += [
            _rule(LEFT, level, RIGHT, level, opacity=0.22),
            _text(LEFT - 8, level + 4, bytes_text(10.0**power), anchor="end"),
        ]
    columns = [(data.plain, GREEN, -1.0), (data.sent, PURPLE, 0.0)] if data.sealed else [(data.sent, GREEN, -0.5)]
    for values, colour, shift in columns:
        boxes = "".join(
            f"M{x(n) + shift * width:.1f} {BOTTOM}v{-height(v):.1f}h{width:.1f}v{height(v):.1f}z"
            for n, v in zip(data.rounds, values, strict=True)
            if v > 0
        )
        parts.append(f'<path d="{boxes}" fill="{colour}"/>')
    mean = f", mean of {data.each} rounds" if data.each > 1 else ""
    words = f'<tspan fill="{GREEN}">■ bytes a round{mean}, in the clear</tspan>'
    if data.sealed:
        words += f'   <tspan fill="{PURPLE}">■ as sent, encrypted</tspan>'
    return "".join(parts) + _text(8, BARS_TOP - 10, words, size=11, anchor="start")


def budget_text(snapshot: Snapshot) -> str:
    """The privacy budget in plain lines: spent of agreed, what may be claimed, what each kind of release cost."""
    lines = [budget_words(snapshot), snapshot.spending.claim]
    lines += [f"  {what}: epsilon {alone} alone" for what, alone in snapshot.spending.lines]
    return "\n".join(lines)
