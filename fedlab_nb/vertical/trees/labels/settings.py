"""Which settings of trees cannot work, or would show single people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fedlab_nb.errors import SettingError
from fedlab_nb.parties import Federation
from fedlab_nb.parties.rules import is_number

if TYPE_CHECKING:
    from fedlab_nb.vertical.secureboost import SecureBoost

FEWEST = 5
_DEEPEST, _MOST_BINS = 10, 1024
_FIXED = ("depth", "bins", "min_rows")


def check_settings(strategy: SecureBoost) -> None:
    """Refuse settings that cannot work.

    Raises:
        SettingError: naming the setting.
    """
    _check_whole(strategy)
    if not is_number(strategy.lr) or not 0 < strategy.lr <= 1:
        raise SettingError(
            f"lr={strategy.lr!r} was given.",
            "It is the share of each tree that counts: with more than all of it, scores swing and never settle.",
            "Use a number above 0 and up to 1, such as lr=0.3.",
        )
    for name in ("reg_lambda", "gamma"):
        value = getattr(strategy, name)
        if not is_number(value) or value < 0:
            raise SettingError(
                f"{name}={value!r} was given.",
                "It is a penalty, and below 0 it would reward large leaves, or splits that tell nothing.",
                f"Use a number from 0 up, such as {name}={1.0 if name == 'reg_lambda' else 0.0:g}.",
            )
    _check_goss(strategy.goss)


def fixed_of(strategy: SecureBoost) -> list[int]:
    """The settings that stay as they are for a whole run: the owners' candidates and all trees are made by them."""
    return [getattr(strategy, name) for name in _FIXED]


def check_same(strategy: SecureBoost, before: Sequence[float]) -> None:
    """Refuse to go on with a run whose candidates and trees were made by other settings.

    Raises:
        SettingError: naming the setting.
    """
    for name, value, was in zip(_FIXED, fixed_of(strategy), before, strict=True):
        if value != was:
            raise SettingError(
                f"{name}={value!r} was given, and the run to go on with began with {name}={int(was)}.",
                "Columns were cut into bins, and trees grown, by it; it cannot change between two trees.",
                f"Go on with {name}={int(was)}, or start anew without after=.",
            )


def check_held_out(patience: int | None, federation: Federation) -> None:
    """Refuse to wait for better scores where no rows are held out.

    Raises:
        SettingError: there would be no scores.
    """
    if patience is not None and not federation.owners[0].held_out:
        raise SettingError(
            f"patience={patience} was given, and the owners hold out no rows.",
            "How good the trees are is told from rows that they were not grown on.",
            "Hold rows out, fl.DataOwner(..., held_out=0.2), or leave patience out.",
        )


def check_some(*counts: object) -> None:
    """Refuse to begin where no owner has a candidate; ``counts`` are how many each has.

    Raises:
        SettingError: there would be no trees.
    """
    if not any(counts):
        raise SettingError(
            "No owner has a column that divides the rows in common into two parts large enough.",
            "Without a question to ask, there is no tree.",
            "Choose a smaller min_rows (5 at least), more bins, or bring owners together with more rows in common.",
        )


def _check_whole(strategy: SecureBoost) -> None:
    ranges = {
        "depth": (1, _DEEPEST, "how many questions a row is asked in a tree", 3),
        "bins": (2, _MOST_BINS, "into how many parts a column is cut at most", 32),
        "min_rows": (FEWEST, 10**9, "how many rows a sum, or a leaf, is about at least; fewer are single people", 20),
    }
    if strategy.patience is not None:
        ranges["patience"] = (1, 10**6, "after how many rounds that are no better it ends", 5)
    for name, (low, high, what, example) in ranges.items():
        value = getattr(strategy, name)
        if not is_number(value, whole=True) or not low <= value <= high:
            raise SettingError(
                f"{name}={value!r} was given.",
                f"It is {what}: a whole number from {low} to {high:,}.",
                f"Use {name}={example}, for example.",
            )


def _check_goss(goss: object) -> None:
    if goss is None:
        return
    pair = goss if isinstance(goss, tuple | list) and len(goss) == 2 else ()
    if not pair or not all(is_number(share) and share > 0 for share in pair) or sum(pair) > 1:
        raise SettingError(
            f"goss={goss!r} was given.",
            "It is the share of rows with the largest gradients that count, and the share of all rows that is drawn "
            "from the rest: both above 0, and together 1 at most.",
            "Use goss=(0.2, 0.1), or leave it out.",
        )
