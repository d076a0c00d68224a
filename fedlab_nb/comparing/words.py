"""A comparison in words: the title of its chart, its table, and what has to be known to read both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fedlab_nb.cards import Html, framed, image, panel, shown, table_html
from fedlab_nb.comparing.numbers import Mean
from fedlab_nb.units import bytes_text, epsilon_text, metric_name, number

if TYPE_CHECKING:
    from fedlab_nb.comparing.comparison import Comparison, Facts

# Of a name in a title.
MOST_LETTERS = 20


def title(found: Comparison) -> str:
    """What is seen, in a sentence: who ends best, or that nobody can be told to."""
    name, ranked = metric_name(found.metric), found.ranked
    if not ranked:
        return f"{name[:1].upper()}{name[1:]} by round: none has been released"
    best, called = ranked[0], short(ranked[0].name)
    if len(ranked) == 1:
        return f"{called} ends at {name} {number(best.score.value)} after {found.num_rounds} rounds"
    second = ranked[1]
    scores = f"{name} {number(best.score.value)}, against {number(second.score.value)} of {short(second.name)}"
    if min(best.score.count, second.score.count) < 2:
        return f"{called} ends best in a single run: {scores}"
    if _overlap(best.score, second.score):
        return f"Too close to call: {called} ends at {scores}"
    return f"{called} ends best: {scores}"


def short(name: str) -> str:
    """A name that leaves room for others in a title.

    >>> short("FedProx with mu 0.1 and decay")
    'FedProx with mu 0.1…'
    """
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1].rstrip()}…"


def _overlap(one: Mean, other: Mean) -> bool:
    return abs(one.value - other.value) <= (one.half or 0.0) + (other.half or 0.0)


def score_words(score: Mean) -> str:
    """A mean with half its interval: ``0.951 ± 0.012``."""
    return number(score.value) + (f" ± {number(score.half)}" if score.half is not None else "")


def reach_words(one: Facts, num_rounds: int) -> str:
    """The median of the rounds to the target, and how many runs reached it if not all did."""
    if one.reach is None or one.reached is None:
        return "–"
    some = f" ({one.reached} of {one.runs} runs)" if 0 < one.reached < one.runs else ""
    return (f"{one.reach:g}" if math.isfinite(one.reach) else f"not in {num_rounds}") + some


def comparison_card(found: Comparison) -> str:
    """Chart, table and notes as one static card."""
    from fedlab_nb.view.compare.picture import chart_svg

    chart = found.chart
    lines = [_cells(found, n) for n in range(len(found.facts))]
    body = image(chart_svg(chart), chart.title) + table_html(_columns(found), lines)
    body += "".join(f"<p>{shown(note)}</p>" for note in _notes(found))
    return framed(panel(f"Comparison by {metric_name(found.metric)} on held-out rows", body, name="comparison"))


def _columns(found: Comparison) -> list[str]:
    goal = [] if found.target is None else [f"Rounds to {found.target:g}"]
    name = metric_name(found.metric)
    return ["", name[:1].upper() + name[1:], *goal, "Sent", "Time", "Epsilon", "Worst owner", "SD", "Lost rounds"]


def _cells(found: Comparison, n: int) -> list[object]:
    from fedlab_nb.view.compare.chart import colour_of, glyph_of

    one, federated = found.facts[n], n < len(found.lanes)
    sign = f'<span aria-hidden="true" style="color:{colour_of(n)}">{glyph_of(n)}</span> ' if federated else ""
    goal = [] if found.target is None else [reach_words(one, found.num_rounds)]
    return [
        Html(f"{sign}{shown(one.name)}"),
        score_words(one.score),
        *goal,
        "–" if one.sent is None else bytes_text(one.sent),
        "–" if one.seconds is None else f"{one.seconds:.2f} s",
        epsilon_text(one.epsilon),
        "–" if one.fair is None else number(one.fair.worst),
        "–" if one.fair is None else number(one.fair.deviation),
        "–" if one.lost is None else one.lost,
    ]


def _notes(found: Comparison) -> list[str]:
    """How the numbers are to be read, and what happened."""
    several = max((len(lane.told) for lane in found.lanes), default=1) > 1
    read = (
        "± is half a 95 % t interval for the mean over seeds: the luck of starts and batches, not of which rows are "
        "held out. Where two intervals overlap, luck may have ranked the lines. Bytes, time and owners' scores are "
        "means over the runs, rounds to a target a median."
        if several
        else "One run each: how much of a difference is luck, it cannot tell."
    )
    read += " Worst owner and SD (standard deviation) are over the owners' own scores, where these were released."
    failures = [failure for lane in found.lanes for failure in lane.failures()]
    more = [f"{len(failures) - 3} more runs broke off."] if len(failures) > 3 else []
    return [read, *found.notes, *failures[:3], *more]
