"""Small models for pictures, for texts and for windows of time; the columns of a frame are their inputs, in order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fedlab_nb.cards import card
from fedlab_nb.errors import SettingError

if TYPE_CHECKING:
    from torch import nn

# The filters of a layer are so wide: one number and its neighbours.
KERNEL = 3


@dataclass(frozen=True)
class Convolutions:
    """Filters over a grid of numbers, each layer followed by ReLU and by halving the grid; then one linear layer.

    ``shape`` is how the inputs lie: (channels, height, width) of a picture, or (variables, length) of a window of time.
    ``channels`` is the number of filters of each layer. Where every number has an input beside it that says whether it
    is missing, the first filters look at both.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.
    """

    shape: tuple[int, ...]
    channels: tuple[int, ...]

    def __call__(self, inputs: int, outputs: int) -> nn.Module:
        """A torch module from ``inputs`` numbers, row by row as in ``shape``, to ``outputs`` scores.

        Raises:
            SettingError: if the inputs do not fill the shape.
        """
        from torch import nn

        beside, flat = self._beside(inputs), len(self.shape) == 3
        grid = (*self.shape[:-1], self.shape[-1] * beside)
        layers: list[nn.Module] = [nn.Unflatten(1, grid)]
        before = self.shape[0]
        for number, filters in enumerate(self.channels):
            # With an input beside each number, twice as wide a filter at every second place sees a number's neighbours.
            wide = beside if number == 0 else 1
            if flat:
                kernel, step, rim = (KERNEL, KERNEL * wide), (1, wide), (KERNEL // 2, KERNEL // 2 * wide)
                layers += [nn.Conv2d(before, filters, kernel, step, rim), nn.ReLU()]
            else:
                layers += [nn.Conv1d(before, filters, KERNEL * wide, wide, KERNEL // 2 * wide), nn.ReLU()]
            if _halves(self._grids[number]):
                layers.append(nn.MaxPool2d(2) if flat else nn.MaxPool1d(2))
            before = filters
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * math.prod(self._grids[-1]), outputs))

    def size(self, inputs: int, outputs: int) -> int:
        """How many weights it has with ``inputs`` numbers and ``outputs`` scores.

        >>> cnn(shape=(1, 8, 8), channels=(16, 32)).size(64, 10)
        6090
        """
        wide = [self._beside(inputs), *[1] * len(self.channels)]
        patch = KERNEL ** (len(self.shape) - 1)
        before = (self.shape[0], *self.channels)
        filters: int = sum((patch * w * c + 1) * n for w, c, n in zip(wide, before, self.channels, strict=False))
        return filters + (before[-1] * math.prod(self._grids[-1]) + 1) * outputs

    @property
    def _grids(self) -> list[tuple[int, ...]]:
        """The grid before the first layer and after each of them."""
        grids = [self.shape[1:]]
        for _ in self.channels:
            grids.append(tuple(side // 2 for side in grids[-1]) if _halves(grids[-1]) else grids[-1])
        return grids

    def _beside(self, inputs: int) -> int:
        """How many inputs each number has: 1, or 2 if each has one that says whether it is missing."""
        numbers = math.prod(self.shape)
        if inputs not in (numbers, 2 * numbers):
            raise SettingError(
                f"{self!r} takes {numbers} numbers, and the columns give {inputs} inputs.",
                "They are laid out row by row in that shape, so that each filter finds neighbours beside each other. A "
                "number whose values are sometimes missing gives a second input, a category one for each value.",
                "Keep only the columns that belong in the shape, without missing values, or name another shape.",
            )
        return inputs // numbers

    def __repr__(self) -> str:
        if len(self.shape) == 3:
            return f"cnn(shape={self.shape}, channels={self.channels})"
        more = f", variables={self.shape[0]}" if self.shape[0] > 1 else ""
        return f"series(length={self.shape[1]}, channels={self.channels}{more})"

    def _repr_html_(self) -> str:
        kind = "for pictures" if len(self.shape) == 3 else "for windows of time"
        names = ("channels", "height", "width") if len(self.shape) == 3 else ("variables", "length")
        numbers = math.prod(self.shape)
        rows = [
            ("Inputs", ", ".join(f"{name} {side}" for name, side in zip(names, self.shape, strict=True))),
            ("Layers", " → ".join(["inputs", *(f"{n} filters, ReLU" for n in self.channels), "scores"])),
            ("Grid after the filters", " × ".join(str(side) for side in self._grids[-1])),
            ("Weights, for one score", f"{self.size(numbers, 1):,}"),
        ]
        return card(f"Convolutional network {kind}", rows, "The columns are its inputs, in their order.")


@dataclass(frozen=True)
class Words:
    """A sum of word vectors, a hidden layer with ReLU, scores; the inputs are how often each word occurs.

    The vectors are the columns of the first weights (embedding, words): a linear layer without a constant.

    Source: Joulin et al. 2017, "Bag of tricks for efficient text classification", section 2, with a hidden layer.
    """

    embedding: int
    hidden: int

    def __call__(self, inputs: int, outputs: int) -> nn.Module:
        """A torch module from ``inputs`` counts of words to ``outputs`` scores."""
        from torch import nn

        vectors = nn.Linear(inputs, self.embedding, bias=False)
        return nn.Sequential(
            vectors, nn.Linear(self.embedding, self.hidden), nn.ReLU(), nn.Linear(self.hidden, outputs)
        )

    def size(self, inputs: int, outputs: int) -> int:
        """How many weights it has with ``inputs`` words and ``outputs`` scores.

        >>> text(embedding=32, hidden=16).size(1000, 1)
        32545
        """
        return inputs * self.embedding + (self.embedding + 1) * self.hidden + (self.hidden + 1) * outputs

    def __repr__(self) -> str:
        return f"text(embedding={self.embedding}, hidden={self.hidden})"

    def _repr_html_(self) -> str:
        rows = [
            ("Layers", f"words → {self.embedding} numbers a word, added up → {self.hidden} ReLU → scores"),
            ("Weights, for 1,000 words and one score", f"{self.size(1000, 1):,}"),
        ]
        return card("Model for texts", rows, "Each column is a word: how often it occurs in the text of a row.")


def cnn(shape: tuple[int, int, int] = (1, 8, 8), channels: tuple[int, ...] = (16, 32)) -> Convolutions:
    """A small convolutional network for pictures whose pixels are the columns, row by row.

    ``shape`` is (channels, height, width), ``channels`` the number of filters of each layer.

    >>> cnn()
    cnn(shape=(1, 8, 8), channels=(16, 32))

    Raises:
        SettingError: for anything but whole numbers of 1 or more.
    """
    _check("cnn", "shape", shape, 3, "cnn(shape=(1, 8, 8))")
    _check("cnn", "channels", channels, None, "cnn(channels=(16, 32))")
    return Convolutions(_whole(shape), _whole(channels))


def series(length: int, channels: tuple[int, ...] = (16,), *, variables: int = 1) -> Convolutions:
    """A small convolutional network for a window of ``length`` times, oldest first, as columns.

    With several ``variables`` the columns are all times of the first one, then all times of the second, and so on.

    >>> series(24)
    series(length=24, channels=(16,))

    Raises:
        SettingError: for anything but whole numbers of 1 or more.
    """
    _check("series", "length", (length,), 1, "series(length=24)")
    _check("series", "variables", (variables,), 1, "series(24, variables=2)")
    _check("series", "channels", channels, None, "series(24, channels=(16, 32))")
    return Convolutions((int(variables), int(length)), _whole(channels))


def text(embedding: int = 32, hidden: int = 16) -> Words:
    """A small model for texts whose columns are words: how often each occurs, or whether it does.

    >>> text()
    text(embedding=32, hidden=16)

    Raises:
        SettingError: for anything but whole numbers of 1 or more.
    """
    _check("text", "embedding", (embedding,), 1, "text(embedding=32)")
    _check("text", "hidden", (hidden,), 1, "text(hidden=16)")
    return Words(int(embedding), int(hidden))


def is_width(value: object) -> bool:
    """True for a whole number of 1 or more."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and int(value) >= 1


def _whole(values: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _halves(grid: tuple[int, ...]) -> bool:
    return all(side >= 2 for side in grid)


def _check(model: str, name: str, values: object, length: int | None, example: str) -> None:
    fits = isinstance(values, tuple | list) and bool(values) and all(is_width(value) for value in values)
    if not fits or (length is not None and len(values) != length):  # type: ignore[arg-type]
        one = length == 1
        shown = values[0] if one and isinstance(values, tuple) else values
        raise SettingError(
            f"{model}() was given {name}={shown!r}.",
            "It must be a whole number of 1 or more."
            if one
            else f"It must be {'some' if length is None else length} whole numbers of 1 or more, in a tuple.",
            f"Use for instance fl.models.{example}.",
        )
