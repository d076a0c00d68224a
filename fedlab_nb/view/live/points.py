"""What the pointer may ask of each round, as short records for the page: nothing that is not in the History."""

from __future__ import annotations

import math
from collections.abc import Mapping

from fedlab_nb.records import Round, Snapshot
from fedlab_nb.units import PERSONAL
from fedlab_nb.view.draw.picture import change_words


def points(snapshot: Snapshot, start: int = 0) -> list[dict[str, object]]:
    """The rounds from index ``start`` on: number, values, noise, owners' values, bytes, seconds, epsilon, and words."""
    changes = change_words(snapshot)
    return [_point(record, snapshot, changes) for record in snapshot.history[start:]]


def _point(record: Round, snapshot: Snapshot, changes: Mapping[int, str]) -> dict[str, object]:
    metric, owners = snapshot.metric, snapshot.owners
    own = [_finite(record.owner_metrics.get(name, {}).get(metric)) for name in owners] if record.owner_metrics else None
    return {
        "n": record.number,
        "v": _finite(record.metrics.get(metric)),
        "p": _finite(record.metrics.get(PERSONAL + metric)),
        "s": _finite(record.noise.get(metric)),
        "o": own,
        "b": record.sent,
        "t": round(sum(record.seconds.values()), 3),
        "e": _finite(record.epsilon),
        "d": [owners.index(name) for name in record.dropped],
        "c": changes.get(record.number, ""),
        "f": str(record.failed)[:400] if record.failed is not None else "",
    }


def _finite(value: float | None) -> float | None:
    """Five digits are enough to be read; what is no number is left out."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")
