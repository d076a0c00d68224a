"""Real tables that are small enough to ship: tumours, digits, flowers and wines."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

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
    return _shipped("breast_cancer.csv", "diagnosis", ["benign", "malignant"])


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


def iris() -> pd.DataFrame:
    """150 flowers: length and width of sepal and petal in cm, and the ``species``, one of three.

    Source: Fisher 1936, "Iris", UCI Machine Learning Repository, doi:10.24432/C56C76, licensed under Creative Commons
    Attribution 4.0 (CC BY 4.0). Changes: columns named, and the two flowers that differ there as Fisher printed them.

    >>> iris().shape
    (150, 5)
    """
    return _shipped("iris.csv", "species", ["setosa", "versicolor", "virginica"])


def wine() -> pd.DataFrame:
    """178 wines of one region: 13 chemical measurements, and the ``cultivar`` they were made from, "A", "B" or "C".

    Source: Aeberhard and Forina 1992, "Wine", UCI Machine Learning Repository, doi:10.24432/C5PC7J, licensed under
    Creative Commons Attribution 4.0 (CC BY 4.0). Changes: columns named, cultivars 1 to 3 called A to C.

    >>> wine().shape
    (178, 14)
    """
    return _shipped("wine.csv", "cultivar", ["A", "B", "C"])


def _shipped(name: str, target: str, classes: list[str]) -> pd.DataFrame:
    """A table of numbers and one column of classes from a file of this package."""
    import pandas as pd

    with (files("fedlab_nb.data") / name).open(encoding="utf-8") as file:
        text = pd.read_csv(file, dtype=str)
    # Read as text first: some versions of pandas lose the last digit of a number in their fast reader.
    frame = text.drop(columns=target).astype(np.float64)
    frame[target] = pd.Categorical(text[target], categories=classes)
    frame.attrs["target"] = target
    return frame
