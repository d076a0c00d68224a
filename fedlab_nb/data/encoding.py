"""From a frame to numbers a model can take, and back: fixed before the first round, equal for all owners."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.columns import as_numbers
from fedlab_nb.data.table import as_block, index_of, pieces
from fedlab_nb.errors import SchemaError
from fedlab_nb.records.schema import Task

if TYPE_CHECKING:
    import pandas as pd

CLIP = 8.0

Floats = NDArray[np.float64]
Targets = NDArray[np.float32] | NDArray[np.int64]


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


class Reading:
    """The codes of all inputs side by side: numeric columns are read together, (c, 1) numbers for each of them.

    ``places`` (c,) are the inputs of the values, ``indicators`` (c,) those that say "missing", -1 where there is none.
    """

    def __init__(self, inputs: Sequence[NumberCode | CategoryCode]) -> None:
        self.names = tuple(code.name for code in inputs)
        widths = [len(c.values) if isinstance(c, CategoryCode) else 1 + c.indicator for c in inputs]
        starts = np.cumsum([0, *widths]).tolist()
        placed = list(zip(inputs, starts[:-1], strict=True))
        self.categories = [(c, slice(at, at + len(c.values))) for c, at in placed if isinstance(c, CategoryCode)]
        numbers = [(code, at) for code, at in placed if isinstance(code, NumberCode)]
        self.numbers = tuple(code.name for code, _ in numbers)
        self.places = np.array([at for _, at in numbers], dtype=np.intp)
        self.indicators = np.array([at + 1 if code.indicator else -1 for code, at in numbers], dtype=np.intp)
        facts = np.array([(c.low, c.high, c.centre, c.scale) for c, _ in numbers], dtype=np.float64).reshape(-1, 4)
        self._low, self._high, self._centre, self._scale = facts.T[:, :, None]

    def read(self, values: Floats, absent: NDArray[np.bool_], part: slice) -> Floats:
        """The columns ``part`` of the numeric ones (c, n), in units of their spread; 0 where a value is absent."""
        low, high = self._low[part], self._high[part]
        # Not np.clip: of two zeros of different sign it may take either, depending on how many bounds there are.
        x = np.where(values < low, low, values)
        np.copyto(x, high, where=x > high)
        x -= self._centre[part]
        x /= self._scale[part]
        np.clip(x, -CLIP, CLIP, out=x)
        x[absent] = 0.0
        return x


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

    @cached_property
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

    @cached_property
    def reading(self) -> Reading:
        """Where each column goes, and the numbers that numeric ones are read by."""
        return Reading(self.inputs)

    @cached_property
    def words(self) -> str:
        """All of it as JSON: what the server tells the owners before the first round."""

        def facts(code: NumberCode | CategoryCode) -> dict[str, object]:
            if isinstance(code, CategoryCode):
                return {"column": code.name, "values": list(code.values)}
            return {"column": code.name, "centre": code.centre, "scale": code.scale, "range": [code.low, code.high]}

        return json.dumps([facts(code) for code in (*self.inputs, self.target)], default=str)

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the model: one per class beyond two classes, else 1."""
        return len(self.classes) if self.task == "multiclass" else 1

    def __repr__(self) -> str:
        return f"Encoding({self.n_inputs} inputs from {len(self.inputs)} columns, {self.task} {self.target.name!r})"


def encode(features: pd.DataFrame, encoding: Encoding) -> NDArray[np.float32]:
    """Model inputs (n, n_inputs): standardised numbers clipped to +-8, missing as 0, categories as 0 or 1.

    Further columns of ``features`` are ignored.

    Raises:
        SchemaError: if a column is missing, or a numeric one holds something else.
    """
    reading = encoding.reading
    if not features.columns.equals(index_of(reading.names)):
        _require(features, reading.names)
    inputs = np.zeros((len(features), encoding.n_inputs), dtype=np.float32)
    for part in pieces(reading.numbers, len(features)):
        values = as_block(features, reading.numbers[part])
        absent = np.isnan(values)
        inputs[:, reading.places[part]] = reading.read(values, absent, part).T
        shown = reading.indicators[part] >= 0
        inputs[:, reading.indicators[part][shown]] = absent[shown].T
    for code, place in reading.categories:
        inputs[:, place] = _codes(features[code.name], code.values)[:, None] == np.arange(len(code.values))
    return inputs


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
    # As it is stored: numbers of NumPy and of Python are found alike, and what is missing is not found.
    return np.fromiter((place.get(value, -1) for value in column.tolist()), dtype=np.int64, count=len(column))


def usable(target: pd.Series, encoding: Encoding) -> NDArray[np.bool_]:
    """Which rows (n,) can be learned from or scored: the target is present and, for classes, one of the known."""
    return _known(_read_target(target, encoding))


def encode_target(target: pd.Series, encoding: Encoding) -> Targets:
    """Model targets (n,): 0.0 or 1.0 for two classes, class numbers for more, standardised units for regression.

    A regression target is clipped to its range first, as the features are.

    Raises:
        SchemaError: if some target is missing or of an unknown class; ``usable`` tells which rows are not.
    """
    values = _read_target(target, encoding)
    if not _known(values).all():
        raise SchemaError(
            f"The target {encoding.target.name!r} has rows without a known value.",
            "Such rows can be neither learned from nor scored.",
            "Keep the rows with frame[target.notna()], and declare all classes with categories=.",
        )
    return _in_units(values, encoding)


def encode_rows(features: pd.DataFrame, target: pd.Series, encoding: Encoding) -> tuple[NDArray[np.float32], Targets]:
    """Inputs (m, n_inputs) and targets (m,) of the m rows that are usable; the others are left out."""
    values = _read_target(target, encoding)
    keep = _known(values)
    if keep.all():
        return encode(features, encoding), _in_units(values, encoding)
    return encode(features[keep], encoding), _in_units(values[keep], encoding)


def _read_target(target: pd.Series, encoding: Encoding) -> Floats | NDArray[np.int64]:
    """Class numbers (n,), -1 where there is none; or the values of a regression target, NaN where there is none."""
    if isinstance(encoding.target, CategoryCode):
        return _codes(target, encoding.target.values)
    return as_numbers(target)


def _known(values: Floats | NDArray[np.int64]) -> NDArray[np.bool_]:
    return values >= 0 if values.dtype == np.int64 else ~np.isnan(values)


def _in_units(values: Floats | NDArray[np.int64], encoding: Encoding) -> Targets:
    code = encoding.target
    if isinstance(code, NumberCode):
        return ((np.clip(values, code.low, code.high) - code.centre) / code.scale).astype(np.float32)
    return values.astype(np.float32) if encoding.task == "binary" else values.astype(np.int64, copy=False)


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
