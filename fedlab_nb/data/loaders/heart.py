"""The UCI heart disease archive: four hospitals, one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.data.loaders.store import fetched
from fedlab_nb.errors import SchemaError

if TYPE_CHECKING:
    import pandas as pd

ADDRESS = "https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease/{name}"
# The files, what the centres are called, and how many patients each has.
CENTRES = {
    "processed.cleveland.data": ("Cleveland", 303),
    "processed.hungarian.data": ("Hungary", 294),
    "processed.switzerland.data": ("Switzerland", 123),
    "processed.va.data": ("Long Beach", 200),
}
COLUMNS = (
    "age", "sex", "chest_pain", "blood_pressure", "cholesterol", "high_sugar", "ecg", "max_heart_rate",
    "exercise_angina", "st_depression", "st_slope", "vessels", "thallium", "narrowing",
)  # fmt: skip
# What the archive writes as a number although it is a kind.
WORDS = {
    "sex": {0: "female", 1: "male"},
    "chest_pain": {1: "typical angina", 2: "atypical angina", 3: "other pain", 4: "none"},
    "high_sugar": {0: "no", 1: "yes"},
    "ecg": {0: "normal", 1: "ST-T abnormal", 2: "hypertrophy"},
    "exercise_angina": {0: "no", 1: "yes"},
    "st_slope": {1: "up", 2: "flat", 3: "down"},
    "thallium": {3: "normal", 6: "fixed defect", 7: "reversible defect"},
}


def heart_disease(folder: str | Path | None = None) -> pd.DataFrame:
    """920 patients of four hospitals in three countries: 13 columns, the ``centre``, and ``disease``, "no" or "yes".

    ``fl.partition.Natural("centre")`` makes each hospital an owner. Many values are missing, whole columns at some
    centres; cholesterol is 0 for all of Switzerland and some others, where it was not measured. "yes" is a narrowing
    of 1 to 4 in the archive. The benchmark Fed-Heart-Disease leaves out ``st_slope``, ``vessels`` and ``thallium``,
    then every row with a gap, which leaves 740.

    Args:
        folder: where the four files processed.cleveland.data, processed.hungarian.data, processed.switzerland.data
            and processed.va.data lie; downloaded from the UCI archive and kept, if left out.

    Raises:
        SchemaError: if a file is missing, cannot be downloaded, or does not have the archive's patients and columns.

    Source: Janosi, Steinbrunn, Pfisterer and Detrano 1988, "Heart Disease", UCI Machine Learning Repository,
    doi:10.24432/C52P4X; du Terrail et al. 2022, "FLamby", section 3 and appendix (Fed-Heart-Disease).
    """
    import pandas as pd

    frames = []
    for name, (centre, count) in CENTRES.items():
        path = fetched(ADDRESS.format(name=name)) if folder is None else Path(folder).expanduser() / name
        frame = _centre(path)
        if len(frame) != count:
            raise _unlike(path, f"has {len(frame)} patients, not {count}")
        frame.insert(0, "centre", centre)
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    for name, words in WORDS.items():
        frame[name] = pd.Categorical(frame[name].map(words), categories=list(words.values()))
    narrowed = frame.pop("narrowing") > 0
    frame["disease"] = pd.Categorical(np.where(narrowed, "yes", "no"), categories=["no", "yes"])
    frame.attrs["target"] = "disease"
    return frame


def _centre(path: Path) -> pd.DataFrame:
    """One file as numbers, NaN where the archive has a question mark."""
    import pandas as pd

    if not path.is_file():
        raise SchemaError(
            f"There is no file {path.name!r} in {str(path.parent)!r}.",
            "Each of the four centres is a file of its own.",
            "Put all four there: they are in the download of dataset 45 (Heart Disease) of the UCI archive.",
        )
    try:
        frame = pd.read_csv(path, header=None, na_values="?", dtype=np.float64)
    except ValueError as error:
        raise _unlike(path, f"could not be read ({type(error).__name__})") from error
    if frame.shape[1] != len(COLUMNS):
        raise _unlike(path, f"has {frame.shape[1]} columns, not {len(COLUMNS)}")
    frame.columns = pd.Index(COLUMNS)
    if frame["narrowing"].isna().any():
        raise _unlike(path, "has rows without a diagnosis")
    return frame


def _unlike(path: Path, what: str) -> SchemaError:
    return SchemaError(
        f"The file {path.name!r} {what}.",
        "It is not the file of the archive, so results with it would not be comparable.",
        "Download it again from dataset 45 (Heart Disease) of the UCI archive, the file whose name has 'processed'.",
    )
