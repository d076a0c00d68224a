"""Small tables to learn with: two real ones, an invented one, and invented twins of private ones."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError
from fedlab_nb.records import Column, Schema

if TYPE_CHECKING:
    import pandas as pd


def breast_cancer() -> pd.DataFrame:
    """569 tumours: 30 measurements of cell nuclei and the ``diagnosis``, "benign" or "malignant".

    Source: Wolberg, Mangasarian, Street and Street 1995, "Breast Cancer Wisconsin (Diagnostic)", UCI Machine Learning
    Repository, doi:10.24432/C5DW2B, licensed under Creative Commons Attribution 4.0 (CC BY 4.0). Changes: patient
    numbers left out, columns named, target spelled out. It is the data set that FATE calls ``breast``, before scaling.

    >>> breast_cancer().shape
    (569, 31)
    """
    import pandas as pd

    with (files("fedlab_nb.data") / "breast_cancer.csv").open(encoding="utf-8") as file:
        text = pd.read_csv(file, dtype=str)
    # Read as text first: some versions of pandas lose the last digit of a number in their fast reader.
    frame = text.drop(columns="diagnosis").astype(np.float64)
    frame["diagnosis"] = pd.Categorical(text["diagnosis"], categories=["benign", "malignant"])
    frame.attrs["target"] = "diagnosis"
    return frame


def digits() -> pd.DataFrame:
    """1797 handwritten digits: 64 columns ``pixel_row_column`` of 0 (white) to 16 (black), and the ``digit``.

    Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits" (its test set), UCI Machine Learning
    Repository, doi:10.24432/C50P49, licensed under Creative Commons Attribution 4.0 (CC BY 4.0). Changes: columns have
    names.

    >>> digits().shape
    (1797, 65)
    """
    import pandas as pd

    with (files("fedlab_nb.data") / "digits.csv.gz").open("rb") as file:
        frame = pd.read_csv(file, compression="gzip", dtype=np.int64)
    frame.attrs["target"] = "digit"
    return frame


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


def invented(schema: Schema, rows: int = 5, seed: int = 0) -> pd.DataFrame:
    """A frame of ``rows`` invented rows that fits ``schema``; ``attrs`` says that they are invented.

    Values are drawn evenly from declared bounds and categories, else from standard ones.

    Raises:
        SettingError: if ``rows`` is not a positive whole number.
    """
    import pandas as pd

    if not isinstance(rows, int) or rows < 1:
        raise SettingError(
            f"{rows!r} invented rows were asked for.", "Rows come whole.", "Ask for rows=5, for example."
        )
    rng = np.random.default_rng(seed)
    columns = (*schema.features, schema.target)
    frame = pd.DataFrame({column.name: _invent_column(column, rows, rng) for column in columns})
    frame.attrs = {"invented": "These rows are invented; no value comes from real rows.", "target": schema.target.name}
    return frame


def _invent_column(column: Column, rows: int, rng: np.random.Generator) -> NDArray[np.generic] | pd.Series:
    import pandas as pd

    whole = "int" in column.dtype.lower()
    if column.kind == "numeric":
        low, high = column.bounds or ((0, 99) if whole else (0.0, 1.0))
        values = rng.uniform(low, high, rows)
        return np.rint(values).astype(np.int64) if whole else values
    standard = (0, 1) if whole else (False, True) if "bool" in column.dtype.lower() else ("A", "B", "C")
    choices = pd.Series(list(column.categories or standard))
    drawn = choices.iloc[rng.integers(len(choices), size=rows)].reset_index(drop=True)
    return drawn.astype("category") if column.dtype == "category" else drawn
