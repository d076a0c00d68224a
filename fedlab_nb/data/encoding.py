"""From a frame to numbers a model can take, and back: fixed before the first round, equal for all owners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.columns import as_numbers, as_values
from fedlab_nb.data.sums import HALF_A_ROW, Range, all_ranges, moment_columns
from fedlab_nb.errors import SchemaError
from fedlab_nb.records import Column, Schema
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    import pandas as pd

CLIP = 8.0
# Variances are of values scaled to [-1, 1]: the narrowest column that exact, and that noisy, sums can show.
NARROWEST, NARROWEST_NOISY = 1e-8, 1e-4
CONSTANT = 1e-12
NOISY_ZERO = 4.0


@dataclass(frozen=True)
class NumberCode:
    """How one numeric column is read: clipped to [low, high], then (value - centre) / scale, in units of its spread.

    With ``indicator`` a second input is 1 where the value is missing.
    """

    name: str
    centre: float
    scale: float
    low: float
    high: float
    indicator: bool = False


@dataclass(frozen=True)
class CategoryCode:
    """How one category column is read: one input per value, all zeros for a missing or unknown value."""

    name: str
    values: tuple[object, ...]


@dataclass(frozen=True)
class Encoding:
    """How rows become inputs and outputs of a model. It holds no row and is the same at every owner.

    ``target`` is a CategoryCode for classes (binary: the second one is the positive class), else a NumberCode.
    """

    inputs: tuple[NumberCode | CategoryCode, ...]
    target: NumberCode | CategoryCode

    def __hash__(self) -> int:
        # Of little, as owners' rows are looked up by it for every owner in every round; equal ones are told by ==.
        return hash((self.target.name, len(self.inputs)))

    @property
    def task(self) -> Task:
        """What is predicted: "binary" and "multiclass" are classes, "regression" a number."""
        if isinstance(self.target, NumberCode):
            return "regression"
        return "binary" if len(self.target.values) == 2 else "multiclass"

    @property
    def classes(self) -> tuple[object, ...]:
        """The class labels in order; empty for regression."""
        return self.target.values if isinstance(self.target, CategoryCode) else ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per input (n_inputs,): "age", "age (missing)", "sex=female"."""
        names: list[str] = []
        for code in self.inputs:
            if isinstance(code, CategoryCode):
                names += [f"{code.name}={value}" for value in code.values]
            else:
                names += [code.name, f"{code.name} (missing)"] if code.indicator else [code.name]
        return tuple(names)

    @property
    def n_inputs(self) -> int:
        """Number of inputs of the model."""
        return len(self.feature_names)

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the model: one per class beyond two classes, else 1."""
        return len(self.classes) if self.task == "multiclass" else 1

    def __repr__(self) -> str:
        return f"Encoding({self.n_inputs} inputs from {len(self.inputs)} columns, {self.task} {self.target.name!r})"


def make_encoding(
    schema: Schema,
    ranges: Mapping[str, Range],
    missing: Mapping[str, bool],
    total_moments: NDArray[np.float64],
    categories: Mapping[str, Iterable[object]],
    *,
    noise_sd: float,
) -> Encoding:
    """The Encoding that the owners' added vectors lead to; it depends on their sums only.

    Args:
        schema: the owners' common schema.
        ranges: of numeric columns without declared bounds, from ranges_from_counts.
        missing: of the same columns; for the others, ``total_moments`` shows whether values are missing.
        total_moments: the sum of all owners' moments (3c + 1,), with any noise.
        categories: values of each column without a declared list; they are put into one canonical order.
        noise_sd: standard deviation of the noise on each number of ``total_moments``, 0 for none.

    Raises:
        SchemaError: if the target has fewer than two classes.
    """
    known = all_ranges(schema, ranges)
    rows = float(total_moments[-1])
    numbers: dict[str, NumberCode] = {}
    for column, sums in zip(moment_columns(schema), total_moments[:-1].reshape(-1, 3), strict=True):
        centre, scale = _centre_and_scale(sums, known[column.name], noise_sd)
        gap = max(NOISY_ZERO * np.sqrt(2.0) * noise_sd, HALF_A_ROW)
        absent = missing.get(column.name, bool(rows - sums[2] > gap))
        numbers[column.name] = NumberCode(column.name, centre, scale, *known[column.name], indicator=absent)

    def code(column: Column) -> NumberCode | CategoryCode:
        if column.kind == "numeric":
            return numbers[column.name]
        values = column.categories if column.categories is not None else _ordered(categories[column.name])
        return CategoryCode(column.name, tuple(values))

    target = code(schema.target)
    if isinstance(target, CategoryCode) and len(target.values) < 2:
        raise SchemaError(
            f"The target {target.name!r} has {len(target.values)} known classes over all owners.",
            "A model that tells classes apart needs at least two of them.",
            f"Choose another target, or declare the classes: categories={{{target.name!r}: [...]}}.",
        )
    return Encoding(tuple(code(column) for column in schema.features), target)


def _centre_and_scale(sums: NDArray[np.float64], limits: Range, noise_sd: float) -> tuple[float, float]:
    """Mean and standard deviation in the column's own units, never narrower than the noise lets one see."""
    middle, half = (limits[0] + limits[1]) / 2, (limits[1] - limits[0]) / 2
    count = float(sums[2])
    if count <= max(NOISY_ZERO * noise_sd, HALF_A_ROW):
        return middle, half
    mean = float(np.clip(sums[0] / count, -1.0, 1.0))
    variance = float(np.clip(sums[1] / count, 0.0, 1.0)) - mean * mean
    if noise_sd > 0:
        variance = max(variance, NARROWEST_NOISY, 2 * noise_sd / count)
    elif variance <= CONSTANT:
        return middle + half * mean, 1.0
    return middle + half * mean, half * float(np.sqrt(max(variance, NARROWEST)))


def _ordered(values: Iterable[object]) -> list[object]:
    """Canonical order, whichever owner named a value first: numbers by size, then text by alphabet."""

    def key(value: object) -> tuple[int, float, str]:
        return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))

    return sorted(set(values), key=key)


def encode(features: pd.DataFrame, encoding: Encoding) -> NDArray[np.float32]:
    """Model inputs (n, n_inputs): standardised numbers clipped to +-8, missing as 0, categories as 0 or 1.

    Further columns of ``features`` are ignored.

    Raises:
        SchemaError: if a column is missing, or a numeric one holds something else.
    """
    _require(features, [code.name for code in encoding.inputs])
    columns: list[NDArray[np.floating]] = []
    for code in encoding.inputs:
        if isinstance(code, CategoryCode):
            columns.append(_codes(features[code.name], code.values)[:, None] == np.arange(len(code.values)))
        else:
            values = as_numbers(features[code.name])
            absent = np.isnan(values)
            x = (np.clip(values, code.low, code.high) - code.centre) / code.scale
            columns.append(np.where(absent, 0.0, np.clip(x, -CLIP, CLIP))[:, None])
            if code.indicator:
                columns.append(absent[:, None])
    if not columns:
        return np.zeros((len(features), 0), dtype=np.float32)
    return np.concatenate(columns, axis=1, dtype=np.float32, casting="unsafe")


def _require(frame: pd.DataFrame, names: Sequence[str]) -> None:
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise SchemaError(
            f"The frame lacks the columns {', '.join(map(repr, absent))}.",
            "The model reads the same columns that it was trained on.",
            "Add them (missing values are allowed), or rename the columns that you have.",
        )


def _codes(column: pd.Series, values: Sequence[object]) -> NDArray[np.int64]:
    """Position of each value in ``values`` (n,), -1 where it is missing or not among them."""
    place = {value: number for number, value in enumerate(values)}
    return np.fromiter((place.get(value, -1) for value in as_values(column)), dtype=np.int64, count=len(column))


def usable(target: pd.Series, encoding: Encoding) -> NDArray[np.bool_]:
    """Which rows (n,) can be learned from or scored: the target is present and, for classes, one of the known."""
    if isinstance(encoding.target, CategoryCode):
        return _codes(target, encoding.target.values) >= 0
    return ~np.isnan(as_numbers(target))


def encode_target(target: pd.Series, encoding: Encoding) -> NDArray[np.float32] | NDArray[np.int64]:
    """Model targets (n,): 0.0 or 1.0 for two classes, class numbers for more, standardised units for regression.

    A regression target is clipped to its range first, as the features are.

    Raises:
        SchemaError: if some target is missing or of an unknown class; ``usable`` tells which rows are not.
    """
    if not usable(target, encoding).all():
        raise SchemaError(
            f"The target {encoding.target.name!r} has rows without a known value.",
            "Such rows can be neither learned from nor scored.",
            "Keep the rows with frame[target.notna()], and declare all classes with categories=.",
        )
    if isinstance(encoding.target, CategoryCode):
        codes = _codes(target, encoding.target.values)
        return codes.astype(np.float32) if encoding.task == "binary" else codes
    code = encoding.target
    values = np.clip(as_numbers(target), code.low, code.high)
    return ((values - code.centre) / code.scale).astype(np.float32)


def encode_rows(
    features: pd.DataFrame, target: pd.Series, encoding: Encoding
) -> tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.int64]]:
    """Inputs (m, n_inputs) and targets (m,) of the m rows that are usable; the others are left out."""
    keep = usable(target, encoding)
    return encode(features[keep], encoding), encode_target(target[keep], encoding)


def decode(outputs: NDArray[np.floating], encoding: Encoding) -> NDArray[np.object_] | NDArray[np.float64]:
    """What raw outputs of a model (n,), (n, 1) or (n, n_outputs) mean: class labels (n,), or the target's units (n,).

    For two classes an output above 0 means the second class, for more the largest output wins.
    """
    outputs = np.asarray(outputs).reshape(-1, encoding.n_outputs)
    if isinstance(encoding.target, NumberCode):
        return outputs[:, 0].astype(np.float64) * encoding.target.scale + encoding.target.centre
    codes = (outputs[:, 0] > 0).astype(int) if encoding.task == "binary" else outputs.argmax(axis=1)
    labels = np.empty(len(encoding.classes), dtype=object)
    labels[:] = encoding.classes
    decoded: NDArray[np.object_] = labels[codes]
    return decoded
