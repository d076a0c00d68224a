"""Invented traffic at the junctions of a town: hourly counts to be foretold, with a known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.samples.truth import check_size

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

HOURS, WINDOW = 24, 6
CARRY, NOISE = 0.7, 0.08


def traffic(days: int = 28, junctions: int = 6, seed: int = 0) -> pd.DataFrame:
    """Invented hourly counts of vehicles at ``junctions``: the six hours before, and ``vehicles`` in the hour itself.

    Each row is one hour at one junction: the columns ``hours_ago_6`` to ``hours_ago_1`` are the window before it,
    then ``hour`` (0 to 23), ``weekend``, ``day`` (counted from a Monday) and ``junction``. Junctions differ in size
    and in whether the morning or the evening peak is larger. ``fl.partition.Natural("junction")`` makes each an owner,
    ``fl.partition.TimeSplit("day")`` makes each period one.

    Counts are b_j (s_j(hour, weekend) + u), rounded, with u(t) = 0.7 u(t-1) + e and e normal with deviation 0.08: what
    is above or below the usual course carries over to the next hour. ``frame.attrs["truth"]`` has this ``carry``, by
    junction the ``size`` b_j, the usual ``course`` b_j s_j (working days then weekends, 48 numbers) and the
    ``best_rmse``, 0.08 b_j: what a forecast that knew the truth would reach.

    Raises:
        SettingError: if there are fewer than 7 days, or not 2 to 26 junctions.

    >>> traffic(days=7, junctions=2).shape
    (324, 11)
    """
    import pandas as pd

    check_size("traffic", "days", days, least=7, example=28)
    check_size("traffic", "junctions", junctions, least=2, most=26, example=6)
    rng = np.random.default_rng(seed)
    names = [f"Junction {chr(ord('A') + number)}" for number in range(junctions)]
    sizes, morning = rng.uniform(150, 900, junctions).round(), rng.uniform(0.3, 0.7, junctions)
    frames, courses = [], {}
    for name, size, share in zip(names, sizes, morning, strict=True):
        course = size * _shape(share)
        courses[name] = course.ravel().tolist()
        frames.append(_junction(name, size, course, days, rng))
    frame = pd.concat(frames, ignore_index=True)
    frame.attrs["target"] = "vehicles"
    frame.attrs["truth"] = {
        "carry": CARRY,
        "size": dict(zip(names, sizes.tolist(), strict=True)),
        "course": courses,
        "best_rmse": dict(zip(names, (NOISE * sizes).tolist(), strict=True)),
    }
    return frame


def _shape(morning: float) -> Floats:
    """The usual course (2, 24) of a working day and of a day of the weekend, in units of the junction's size."""
    hour = np.arange(HOURS)

    def peak(at: float, width: float) -> Floats:
        return np.asarray(np.exp(-(((hour - at) / width) ** 2)), dtype=np.float64)

    work = 0.6 + morning * peak(8, 2) + (1 - morning) * peak(17, 2.5) + 0.25 * peak(12.5, 4)
    return np.stack([work, 0.55 + 0.45 * peak(14, 5)])


def _junction(name: str, size: float, course: Floats, days: int, rng: np.random.Generator) -> pd.DataFrame:
    """The rows of one junction, from its seventh hour on."""
    import pandas as pd

    hours = np.arange(days * HOURS)
    day, hour = hours // HOURS, hours % HOURS
    weekend = day % 7 >= 5
    shocks, above = rng.normal(0.0, NOISE, hours.size), np.zeros(hours.size)
    # It starts as it goes on: the spread of u in the long run.
    above[0] = shocks[0] / np.sqrt(1 - CARRY**2)
    for at in hours[1:]:
        above[at] = CARRY * above[at - 1] + shocks[at]
    counts = np.maximum(course[weekend.astype(int), hour] + size * above, 0.0).round()
    window = {f"hours_ago_{back}": counts[WINDOW - back : -back] for back in range(WINDOW, 0, -1)}
    facts = {"hour": hour, "weekend": weekend, "day": day, "vehicles": counts}
    frame = pd.DataFrame({**window, **{key: values[WINDOW:] for key, values in facts.items()}})
    frame.insert(frame.shape[1] - 1, "junction", name)
    return frame
