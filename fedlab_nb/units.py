"""Numbers with their units, and metrics and settings by the names that a reader knows."""

from __future__ import annotations

import math
from collections.abc import Iterable

NAMES = {"auc": "AUC", "rmse": "RMSE", "r2": "R²", "mae": "MAE", "accuracy": "accuracy", "loss": "loss"}
# Before the name of a metric: the scores of the owners' own models, each on its owner's rows.
PERSONAL = "personal_"
_LOWER = ("loss", "rmse", "mae", "mse")
LOWER_IS_BETTER = (*_LOWER, *(PERSONAL + metric for metric in _LOWER))


def metric_name(metric: str) -> str:
    """The metric as a reader knows it: ``auc`` -> ``AUC``, ``personal_auc`` -> ``own models' AUC``."""
    own = "own models' " if metric.startswith(PERSONAL) else ""
    metric = metric.removeprefix(PERSONAL)
    return own + NAMES.get(metric, metric.replace("_", " "))


SETTING_NAMES = {
    "lr": "learning rate",
    "local_epochs": "local epochs",
    "sample_rate": "sample rate",
    "clip": "clip norm",
    "noise_multiplier": "noise multiplier",
    "dropout": "drop-out of owners",
}


def setting_words(name: str, value: float) -> str:
    """A setting with its value, such as "learning rate 0.05" or "drop-out of owners 20 %"."""
    share = name in ("sample_rate", "dropout")
    return f"{SETTING_NAMES.get(name, name.replace('_', ' '))} {f'{value:.0%}' if share else f'{value:.3g}'}"


def listed(names: Iterable[object], most: int = 6) -> str:
    """Names in a row, the first ``most`` of them, and how many more there are.

    >>> listed("abcd", most=2)
    'a, b and 2 more'
    """
    known = [str(name) for name in names]
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def counted(count: int, word: str, words: str = "") -> str:
    """How many of something: ``1 row``, ``1,200 rows``; ``words`` where the plural is not ``word`` + s."""
    return f"{count:,} {word if count == 1 else words or word + 's'}"


def number(value: float | None) -> str:
    """Three decimals, two digits of a very small number, four of a large one; a dash where there is no finite one."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if 0 < size < 0.01:
        return f"{value:.2g}"
    return f"{value:.3f}" if size < 10 else f"{value:.4g}" if size < 1e6 else f"{value:.3e}"


def epsilon_text(value: float | None) -> str:
    """Epsilon with two decimals (two significant digits where it is small); a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if 0 <= value < 1e-6:
        return "0"
    return f"{value:.2g}" if value < 0.1 else f"{value:.2f}".removesuffix(".00")


def delta_text(value: float | None) -> str:
    """Delta as a power of ten where it is one, as ``0.001`` or ``10⁻⁵``."""
    if value is None:
        return "–"
    power = round(math.log10(value)) if value > 0 else 0
    if power < -3 and math.isclose(value, 10.0**power, rel_tol=1e-9):
        return power_text(10, power)
    return f"{value:g}"


def power_text(base: int, power: int) -> str:
    """A power as it is written: ``2⁻³⁰``."""
    return str(base) + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def bytes_text(count: float) -> str:
    """Bytes with a unit a reader can compare: ``331 kB``, ``6.6 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return (
                f"{count:.0f} {unit}" if count >= 100 or unit == "B" else f"{count:.1f}".removesuffix(".0") + f" {unit}"
            )
        count /= 1000
    return ""


def seconds_text(seconds: float) -> str:
    """Seconds in the unit a reader would say: ``4 s``, ``2 min 10 s``, ``1 h 5 min``."""
    whole = max(0, round(seconds)) if math.isfinite(seconds) else 0
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def times_text(factor: float) -> str:
    """A factor: ``32×``, ``1.4×``."""
    return f"{factor:.0f}×" if factor >= 10 else f"{factor:.1f}×"
