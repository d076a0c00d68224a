"""What is drawn, as plain numbers: the metric's curve, its noise, the owners' band, the bytes of each round."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import chain
from typing import TypeVar, cast
from weakref import ref

from fedlab_nb.records import FINDING, History, Snapshot
from fedlab_nb.units import LOWER_IS_BETTER, PERSONAL
from fedlab_nb.view.style import UNIT_METRICS

T = TypeVar("T")

PROCESS_SD = 0.02
MOST_BARS = 40


def smooth(values: Sequence[float], sds: Sequence[float], process_sd: float) -> tuple[list[float], list[float]]:
    """The level behind noisy releases, and its standard deviation: a Kalman filter and its backward pass.

    Model: level_t = level_(t-1) + N(0, process_sd^2); value_t = level_t + N(0, sds_t^2). A release without noise
    is met exactly. It reads releases only, so by post-processing it costs no privacy.

    Source: Durbin and Koopman, Time Series Analysis by State Space Methods, sections 2.2 and 2.4 (local level).

    >>> smooth([0.1, 0.4, 0.2], [0.0, 0.0, 0.0], 0.02)[0]
    [0.1, 0.4, 0.2]
    """
    levels, variances = [], []
    level, variance = (values[0], math.inf) if values else (0.0, 0.0)
    for value, sd in zip(values, sds, strict=True):
        variance += process_sd**2
        gain = 1.0 if math.isinf(variance) or not sd else variance / (variance + sd**2)
        level, variance = (value if gain == 1.0 else level + gain * (value - level)), gain * sd**2
        levels.append(level)
        variances.append(variance)
    for t in range(len(levels) - 2, -1, -1):
        back = variances[t] / (variances[t] + process_sd**2) if variances[t] else 0.0
        levels[t] += back * (levels[t + 1] - levels[t])
        variances[t] += back**2 * (variances[t + 1] - variances[t] - process_sd**2)
    return levels, [math.sqrt(max(v, 0.0)) for v in variances]


@dataclass(frozen=True)
class Curve:
    """A metric by round: releases with the noise in them, the level behind them, the owners' lowest and highest.

    ``lowest`` and ``highest`` are empty, or as long as ``rounds`` with None where no owner's value was released.
    ``own`` are the values of the owners' own models together, in the same way.
    """

    metric: str
    rounds: tuple[int, ...]
    values: tuple[float, ...]
    noise: tuple[float, ...]
    level: tuple[float, ...]
    level_sd: tuple[float, ...]
    lowest: tuple[float | None, ...]
    highest: tuple[float | None, ...]
    failed: tuple[tuple[int, str], ...]
    own: tuple[float | None, ...] = ()

    @property
    def personal(self) -> tuple[tuple[int, float], ...]:
        """The rounds in which the owners' own models were scored, and their value; none where there are no such."""
        return tuple((n, v) for n, v in zip(self.rounds, self.own, strict=False) if v is not None)

    @property
    def noisy(self) -> bool:
        """Whether any release carries noise."""
        return any(self.noise)

    @property
    def banded(self) -> bool:
        """Whether owners' own values were released in more than one round, enough for a band."""
        return sum(v is not None for v in self.lowest) > 1


def remembered(work: Callable[[Snapshot], T]) -> Callable[[Snapshot], T]:
    """``work``, done once for the snapshot that all panels are being drawn from."""
    last: list[object] = [None, None]

    @wraps(work)
    def once(snapshot: Snapshot) -> T:
        if last[0] is None or last[0]() is not snapshot:  # type: ignore[operator]
            last[:] = [ref(snapshot), work(snapshot)]
        return cast("T", last[1])

    return once


@remembered
def curve(snapshot: Snapshot) -> Curve:
    """The snapshot's headline metric, read from its history."""
    metric = snapshot.metric
    done = [r for r in snapshot.history if r.failed is None and math.isfinite(r.metrics.get(metric, math.nan))]
    values = [r.metrics[metric] for r in done]
    noise = [r.noise.get(metric, 0.0) for r in done]
    level, level_sd = smooth(values, noise, PROCESS_SD * _scale(metric, values))
    # A release with noise may lie above what the metric can be; the best estimate of it does not.
    level = [min(v, 1.0) for v in level] if metric in UNIT_METRICS else level
    bands: list[tuple[float | None, float | None]] = [r.spread.get(metric, (None, None)) for r in done]
    return Curve(
        metric=metric,
        rounds=tuple(r.number for r in done),
        values=tuple(values),
        noise=tuple(noise),
        level=tuple(level),
        level_sd=tuple(level_sd),
        lowest=tuple(low for low, _ in bands),
        highest=tuple(high for _, high in bands),
        failed=tuple((r.number, str(r.failed)) for r in snapshot.history if r.failed is not None),
        own=tuple(_finite(r.metrics.get(PERSONAL + metric)) for r in done),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def course(history: History, metric: str) -> list[tuple[float, float]]:
    """The level behind another course's releases, by round: drawn faintly, without dots and bands."""
    done = [r for r in history.completed if math.isfinite(r.metrics.get(metric, math.nan))]
    values, noise = [r.metrics[metric] for r in done], [r.noise.get(metric, 0.0) for r in done]
    level, _ = smooth(values, noise, PROCESS_SD * _scale(metric, values))
    return [(float(r.number), v) for r, v in zip(done, level, strict=True)]


def _scale(metric: str, values: Sequence[float]) -> float:
    """One for metrics that end at one; for others the middle size of what was released."""
    if metric in UNIT_METRICS or not values:
        return 1.0
    return sorted(abs(v) for v in values)[len(values) // 2] or 1.0


def value_range(line: Curve) -> tuple[float, float]:
    """A vertical range that moves in coarse steps only, so that the picture stands still while it grows."""
    lows = [v for v in (*line.values, *line.level, *line.lowest, *line.own) if v is not None]
    highs = [v for v in (*line.values, *line.level, *line.highest, *line.own) if v is not None]
    if not highs:
        return 0.0, 1.0
    if line.metric in UNIT_METRICS:
        floor = next((f for f in (0.9, 0.8, 0.6, 0.4, 0.2, 0.0, -1.0) if f <= min(lows)), math.floor(min(lows)))
        top = max(1.0, *highs)
        return floor, top + 0.04 * (1.0 - floor)
    return min(0.0, -_round_up(-min(lows))) if min(lows) < 0 else 0.0, _round_up(max(highs) * 1.05)


def _round_up(value: float) -> float:
    """The next of 1, 2, 3, 5, 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(next((m * power for m in (1, 2, 3, 5, 8, 10) if m * power >= value), 10 * power))


def round_range(snapshot: Snapshot) -> int:
    """The last round on the axis: all of a short run; of a long one a window that grows in few steps."""
    total = max(snapshot.num_rounds, 1)
    last = snapshot.at
    return next((w for w in (60, 100, 200, 500, 1000, 2000, 5000, 10000) if last * 1.1 <= w < total), max(total, last))


def better(metric: str, first: float, last: float) -> bool:
    """Whether ``last`` is an improvement over ``first`` in this metric."""
    return last < first if metric in LOWER_IS_BETTER else last > first


@dataclass(frozen=True)
class Bars:
    """Bytes by round: as 32-bit numbers in the clear, and as they crossed; means over ``each`` rounds.

    ``hidden`` says in words what was on the way, numbers or only ids: where nothing was, the two are the same bytes.
    """

    rounds: tuple[float, ...]
    plain: tuple[float, ...]
    sent: tuple[float, ...]
    each: int
    hidden: str


def bars(snapshot: Snapshot) -> Bars:
    """The bytes of each round, in at most about forty bars."""
    each = max(1, math.ceil(round_range(snapshot) / MOST_BARS)) if round_range(snapshot) > 60 else 1
    middles, plain, sent = [], [], []
    for start in range(0, len(snapshot.history), each):
        group = snapshot.history[start : start + each]
        middles.append(sum(r.number for r in group) / len(group))
        plain.append(sum(r.sent_if_plain for r in group) / len(group))
        sent.append(sum(r.sent for r in group) / len(group))
    total = traffic_total(snapshot)
    hidden = "encrypted" if total.sealed_bytes else "ids hidden" if total.id_bytes else ""
    return Bars(tuple(middles), tuple(plain), tuple(sent), each, hidden)


@dataclass(frozen=True)
class TrafficTotal:
    """Bytes of a whole run. ``sealed_plain`` is what the sealed messages would take as 32-bit numbers in the clear."""

    clear_bytes: int
    id_bytes: int
    sealed_bytes: int
    sealed_plain: int
    kinds: tuple[tuple[str, int, int, bool], ...]

    @property
    def all_bytes(self) -> int:
        """Everything that crossed."""
        return self.clear_bytes + self.id_bytes + self.sealed_bytes

    @property
    def factor(self) -> float | None:
        """How many times more bytes the sealed messages take than the same numbers in the clear."""
        return self.sealed_bytes / self.sealed_plain if self.sealed_plain else None


@remembered
def traffic_total(snapshot: Snapshot) -> TrafficTotal:
    """Sums over all rounds, rewound ones too, and (kind, messages, bytes, encrypted) by kind, largest first.

    ``id_bytes`` are the hidden bytes by which rows are found, where no numbers crossed sealed; else these are counted
    among the sealed ones.
    """
    rewound = (record for branch in snapshot.branches if branch.own for record in branch.history[1:])
    clear = ids = ids_plain = sealed = sealed_plain = 0
    kinds: dict[tuple[str, bool], list[int]] = {}
    for record in chain(snapshot.history, rewound):
        for kind, flow in record.traffic.items():
            if flow.encrypted and kind in FINDING:
                ids += flow.nbytes
                ids_plain += flow.plain_nbytes
            elif flow.encrypted:
                sealed += flow.nbytes
                sealed_plain += flow.plain_nbytes
            else:
                clear += flow.nbytes
            entry = kinds.setdefault((kind, flow.encrypted), [0, 0])
            entry[0] += flow.messages
            entry[1] += flow.nbytes
    ordered = sorted(((k, n, b, e) for (k, e), (n, b) in kinds.items()), key=lambda row: -row[2])
    if sealed_plain:
        return TrafficTotal(clear, 0, sealed + ids, sealed_plain + ids_plain, tuple(ordered))
    return TrafficTotal(clear, ids, sealed, 0, tuple(ordered))


def thinned(points: Iterable[tuple[float, float]], most: int = 80) -> list[tuple[float, float]]:
    """At most ``most`` of the points, evenly spaced, the last always among them."""
    listed = list(points)
    if len(listed) <= most:
        return listed
    step = (len(listed) - 1) / (most - 1)
    return [listed[round(i * step)] for i in range(most)]
