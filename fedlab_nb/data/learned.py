"""Encodings that follow from the sums over all owners' rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.encoding import CategoryCode, Encoding, NumberCode
from fedlab_nb.data.sums import HALF_A_ROW, Range, all_ranges, moment_columns
from fedlab_nb.errors import SchemaError
from fedlab_nb.records import Column, Schema

# Variances are of values scaled to [-1, 1]: the narrowest column that exact, and that noisy, sums can show.
NARROWEST, NARROWEST_NOISY = 1e-8, 1e-4
CONSTANT = 1e-12
NOISY_ZERO = 4.0


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
