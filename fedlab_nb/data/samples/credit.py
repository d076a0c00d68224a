"""Invented customers of a bank and of a shop: two halves of one table, with a known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.data.samples.truth import check_size, drawn, yes_no

if TYPE_CHECKING:
    import pandas as pd


def credit(rows: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Invented customers whom a bank and a shop have in common, and whether they ``default`` on a loan; known truth.

    Nobody in this table exists. The bank knows age in years, income in thousands a year, the share of income that
    pays debts, and late payments; the shop knows visits a month, the basket in euro, and the shares of purchases that
    are returned and paid in instalments. The log-odds of "yes" are linear in all eight columns: with its own four the
    bank reaches an AUC of about 0.77, with the shop's as well about 0.85.

    ``frame.attrs["parties"]`` says who holds what, as ``fl.split_columns(frame, **frame.attrs["parties"])`` takes it;
    ``frame.attrs["truth"]`` has the ``intercept``, the ``coefficients`` per unit, and the ``best_accuracy``: what a
    model that knew the true chances would reach on these very rows, about 0.85.

    Raises:
        SettingError: if there are fewer than 50 rows.

    >>> sorted(credit().attrs["parties"])
    ['bank', 'shop']
    """
    import pandas as pd

    check_size("credit", "rows", rows, least=50, example=2000)
    rng = np.random.default_rng(seed)
    bank = {
        "age": np.clip(rng.normal(45, 13, rows), 18, 85).round(),
        "income": np.exp(rng.normal(3.6, 0.4, rows)).round(1),
        "debt_ratio": rng.beta(2, 3, rows).round(3),
        "late_payments": rng.poisson(0.8, rows),
    }
    shop = {
        "visits": rng.poisson(4, rows),
        "basket": rng.gamma(4, 15, rows).round(2),
        "returns_share": rng.beta(1.5, 6, rows).round(3),
        "instalments_share": rng.beta(2, 2, rows).round(3),
    }
    slopes = {
        "age": -0.02,
        "income": -0.05,
        "debt_ratio": 4.0,
        "late_payments": 0.8,
        "visits": -0.2,
        "basket": 0.015,
        "returns_share": 4.0,
        "instalments_share": 3.0,
    }
    frame = pd.DataFrame({**bank, **shop})
    chance = drawn(frame, slopes, -3.9)
    frame["default"] = yes_no(rng.random(rows) < chance)
    frame.attrs["target"] = "default"
    frame.attrs["parties"] = {"bank": [*bank, "default"], "shop": [*shop]}
    frame.attrs["truth"] = {
        "intercept": -3.9,
        "coefficients": slopes,
        "best_accuracy": float(np.maximum(chance, 1 - chance).mean()),
    }
    return frame
