"""Which numbers the settings of a strategy may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fedlab_nb.settings import check_setting, is_real

if TYPE_CHECKING:
    from fedlab_nb.horizontal.averaging import Averaging


def check_number(
    strategy: Averaging,
    name: str,
    *,
    why: str,
    example: str,
    least: float = 0.0,
    above: bool = False,
    below: float = math.inf,
) -> None:
    """Refuse a setting of a strategy that is no number from ``least`` (or only ``above`` it) to below ``below``.

    Raises:
        SettingError: saying ``why``, and giving an ``example``.
    """
    value = getattr(strategy, name)
    start = f"above {least:g}" if above else f"from {least:g}"
    check_setting(
        type(strategy).__name__,
        name,
        value,
        fits=is_real(value) and (value > least if above else value >= least) and value < below,
        wanted=f"a number {start}" + (f" to below {below:g}" if math.isfinite(below) else " up" if not above else ""),
        why=why,
        example=example,
    )


def check_server_lr(strategy: Averaging, example: str) -> None:
    """Refuse a learning rate of the server that is no number above zero.

    Raises:
        SettingError.
    """
    why = "The server's step is as long as this times what came out of the owners' work."
    check_number(strategy, "server_lr", above=True, why=why, example=example)
