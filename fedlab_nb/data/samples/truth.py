"""What invented tables share: labels drawn from a logistic model that is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.settings import check_setting, is_whole

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


def check_size(name: str, setting: str, value: object, *, least: int, example: int, most: int | None = None) -> None:
    """Refuse a number of rows, sites or days that a story cannot be told with.

    Raises:
        SettingError: naming the sample and the setting.
    """
    check_setting(
        f"fl.data.{name}",
        setting,
        value,
        fits=is_whole(value, least=least) and (most is None or value <= most),
        wanted=f"a whole number from {least:,} " + ("up" if most is None else f"to {most:,}"),
        why="With fewer, what the table is to show does not show; every part of it needs some rows.",
        example=str(example),
    )


def drawn(frame: pd.DataFrame, slopes: Mapping[str, float], intercept: float, offset: Floats | float = 0.0) -> Floats:
    """The chance (n,) of "yes" in each row: 1 / (1 + exp(-(intercept + offset + sum of slope times column)))."""
    score = intercept + offset + sum(slope * frame[name].to_numpy(dtype=float) for name, slope in slopes.items())
    return np.asarray(1 / (1 + np.exp(-score)), dtype=np.float64)


def yes_no(true: NDArray[np.bool_]) -> pd.Categorical[str]:
    """True as "yes" and False as "no"."""
    import pandas as pd

    return pd.Categorical(np.where(true, "yes", "no"), categories=["no", "yes"])
