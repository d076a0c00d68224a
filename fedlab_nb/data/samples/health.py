"""Invented patients: of four clinics, with gaps; and of many hospitals, with a known truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.samples.truth import check_size, drawn, yes_no

if TYPE_CHECKING:
    import pandas as pd


def clinics(seed: int = 0) -> pd.DataFrame:
    """600 invented patients of four invented clinics, with numbers, categories and missing values.

    Nobody in this table exists: the values are drawn from a logistic model, so that the features do say something
    about the ``diagnosis`` ("healthy" or "ill"), and the clinics differ in age and in size.
    ``frame.groupby("clinic")`` gives one frame per owner. Equal seeds give equal tables.

    >>> sorted(clinics()["clinic"].unique())
    ['East', 'North', 'South', 'West']
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    n = 600
    clinic = rng.choice(["North", "South", "East", "West"], n, p=[0.35, 0.25, 0.25, 0.15])
    older = pd.Series(clinic).map({"North": 0, "South": 4, "East": 8, "West": -6}).to_numpy()
    age = np.clip(rng.normal(54 + older, 9), 25, 90).round()
    sex = rng.choice(["female", "male"], n)
    smoker = rng.random(n) < 0.3
    pressure = rng.normal(98 + 0.6 * age, 13).round()
    cholesterol = rng.normal(205 + 0.5 * (age - 54) + 12 * smoker, 32).round()
    pain = rng.choice(["none", "on effort", "at rest"], n, p=[0.5, 0.3, 0.2])
    score = (
        0.07 * (age - 54)
        + 0.035 * (pressure - 130)
        + 0.015 * (cholesterol - 205)
        + 1.4 * smoker
        + 0.8 * (sex == "male")
        + np.select([pain == "on effort", pain == "at rest"], [1.2, 2.4], 0.0)
        - 1.8
    )
    ill = rng.random(n) < 1 / (1 + np.exp(-1.3 * score))
    frame = pd.DataFrame(
        {
            "age": age.astype(int),
            "sex": sex,
            "blood_pressure": np.where(rng.random(n) < 0.06, np.nan, pressure),
            "cholesterol": np.where(rng.random(n) < 0.10, np.nan, cholesterol),
            "smoker": smoker,
            "chest_pain": pd.Series(pain).mask(pd.Series(rng.random(n) < 0.05)),
            "clinic": clinic,
            "diagnosis": np.where(ill, "ill", "healthy"),
        }
    )
    frame.attrs["target"] = "diagnosis"
    return frame


def hospitals(rows: int = 3000, sites: int = 8, seed: int = 0) -> pd.DataFrame:
    """Invented stays at ``sites`` invented hospitals, and whether the patient was ``readmitted``; with known truth.

    Nobody in this table exists. The log-odds of "yes" are an intercept, one coefficient for each column, and an offset
    of the hospital: the same effects everywhere, in hospitals that differ in size, in their patients' age and in how
    often patients return. ``frame.attrs["truth"]`` has the ``intercept``, the ``coefficients`` (per unit, of True for
    the two columns that are true or false), the ``offsets`` by hospital, and the ``best_accuracy``: what a model that
    knew the true chances would reach on these very rows, 0.70 to 0.74. ``fl.partition.Natural("hospital")`` divides it.

    Raises:
        SettingError: if ``sites`` is not from 2 to 26, or there are fewer than 20 rows for each.

    >>> round(hospitals().attrs["truth"]["coefficients"]["emergency"], 2)
    0.8
    """
    import pandas as pd

    check_size("hospitals", "sites", sites, least=2, most=26, example=8)
    check_size("hospitals", "rows", rows, least=20 * sites, example=20 * sites)
    rng = np.random.default_rng(seed)
    names = np.array([f"Hospital {chr(ord('A') + number)}" for number in range(sites)])
    site = np.concatenate([np.arange(sites).repeat(10), rng.choice(sites, rows - 10 * sites, p=_sizes(sites))])
    older, offsets = rng.normal(0.0, 5.0, sites), rng.normal(0.0, 0.6, sites).round(2)
    frame = pd.DataFrame(
        {
            "age": np.clip(rng.normal(62 + older[site], 12), 18, 99).round(),
            "bmi": np.clip(rng.normal(27, 4.5, rows), 15, 55).round(1),
            "glucose": np.clip(rng.normal(6.2, 1.6, rows), 3, 20).round(1),
            "earlier_stays": rng.poisson(1.1, rows),
            "smoker": rng.random(rows) < 0.25,
            "emergency": rng.random(rows) < 0.4,
            "hospital": names[site],
        }
    )
    slopes = {
        "age": 0.04,
        "bmi": 0.05,
        "glucose": 0.25,
        "earlier_stays": 0.6,
        "smoker": 0.5,
        "emergency": 0.8,
    }
    chance = drawn(frame, slopes, -7.1, offsets[site])
    frame["readmitted"] = yes_no(rng.random(rows) < chance)
    frame = frame.iloc[rng.permutation(rows)].reset_index(drop=True)
    frame.attrs["target"] = "readmitted"
    frame.attrs["truth"] = {
        "intercept": -7.1,
        "coefficients": slopes,
        "offsets": dict(zip(names.tolist(), offsets.tolist(), strict=True)),
        "best_accuracy": float(np.maximum(chance, 1 - chance).mean()),
    }
    return frame


def _sizes(sites: int) -> NDArray[np.float64]:
    """Shares of the hospitals: the largest is five times the smallest."""
    shares = np.linspace(1.0, 5.0, sites)
    return np.asarray(shares / shares.sum(), dtype=np.float64)
