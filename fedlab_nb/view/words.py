"""A run in plain words: for terminals, screen readers, and notebooks that show nothing else."""

from __future__ import annotations

import math

from fedlab_nb.records import Snapshot
from fedlab_nb.units import bytes_text, delta_text, epsilon_text, metric_name, number, times_text
from fedlab_nb.view.draw.curves import Curve, better, curve, traffic_total

# What the server tells owners: where nothing else crossed, no owner was asked.
TOLD = frozenset({"model", "encoding", "control variate"})


# What the two lines of a run with personal models are called.
GLOBAL_MODEL, OWN_MODELS = "global model", "owners' own models"


def line_words(line: Curve) -> str:
    """Whose scores the main line shows."""
    if line.noisy:
        return "best estimate"
    return GLOBAL_MODEL if line.personal else "all owners"


def metric_words(line: Curve) -> str:
    """The metric's last value: ``accuracy 0.963``, or ``accuracy about 0.963 (noise ±0.020)`` where noise is in it."""
    name = metric_name(line.metric)
    if not line.rounds:
        return f"{name} not released yet in this run"
    if line.noise[-1]:
        return f"{name} about {number(line.level[-1])} (noise ±{number(line.noise[-1])})"
    own = line.own[-1] if line.own else None
    return f"{name} {number(line.values[-1])}" + (f" ({OWN_MODELS} {number(own)})" if own is not None else "")


def budget_words(snapshot: Snapshot) -> str:
    """Epsilon spent of agreed with its delta, or ``no privacy guarantee``; never an infinite number."""
    spending = snapshot.spending
    if not spending.private or spending.spent is None or not math.isfinite(spending.spent):
        return "no privacy guarantee"
    agreed = f" of {epsilon_text(spending.agreed)}" if spending.agreed is not None else ""
    delta = f" (delta {delta_text(spending.delta)}, per {spending.unit})" if spending.delta is not None else ""
    return f"epsilon {epsilon_text(spending.spent)}{agreed}{delta}"


def traffic_words(snapshot: Snapshot) -> str:
    """What crossed: ``6.6 MB sent encrypted (32×)``, or bytes sent in the clear, and hidden ids beside them."""
    total = traffic_total(snapshot)
    if total.factor is not None:
        return f"{bytes_text(total.sealed_bytes)} sent encrypted ({times_text(total.factor)})"
    if from_the_vault(snapshot):
        return f"{bytes_text(total.all_bytes)} told to the owners, nothing asked of them"
    found = f", {bytes_text(total.id_bytes)} hidden to find rows in common" if total.id_bytes else ""
    return f"{bytes_text(total.all_bytes - total.id_bytes)} sent in the clear{found}"


def from_the_vault(snapshot: Snapshot) -> bool:
    """True if owners took part and were sent things, and nothing had to be asked of them: it was kept from before."""
    rounds = [r for r in snapshot.history if r.cohort and r.failed is None]
    return bool(rounds) and all(r.traffic and TOLD.issuperset(r.traffic) for r in rounds)


def sentence(snapshot: Snapshot) -> str:
    """The run in one line of plain text, for terminals, screen readers and notebooks that show nothing else.

    Such as "Round 20 of 20, accuracy 0.963, epsilon 7.9 of 8 (delta 0.001, per row), 6.6 MB sent encrypted (32×)".
    """
    last = snapshot.at
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
    crossed = bytes_text(last.sent)
    return "  ".join([head, *scores, budget_words(snapshot), crossed, seconds])


def budget_text(snapshot: Snapshot) -> str:
    """The privacy budget in plain lines: spent of agreed, what may be claimed, what each kind of release cost."""
    lines = [budget_words(snapshot), snapshot.spending.claim]
    lines += [f"  {what}: epsilon {alone} alone" for what, alone in snapshot.spending.lines]
    return "\n".join(lines)


def chart_title(snapshot: Snapshot) -> str:
    """What is seen, in words: "Accuracy rises from 0.73 to 0.96 in 14 rounds"."""
    line = curve(snapshot)
    name = metric_name(line.metric)
    name = name[0].upper() + name[1:]
    if not line.rounds:
        return f"{name} by round: none has been released yet"
    first, last = line.level[0], line.level[-1]
    if len(line.rounds) == 1:
        return f"{name} {number(last)} after the first round"
    moves = "stays near" if abs(last - first) < 0.005 * max(abs(first), 1e-12) else ""
    if moves:
        return f"{name} stays near {number(last)} over {line.rounds[-1]} rounds"
    verb = "rises" if last > first else "falls"
    close = "" if better(line.metric, first, last) else " (worse)"
    return f"{name} {verb} from {number(first)} to {number(last)} in {line.rounds[-1]} rounds{close}"
