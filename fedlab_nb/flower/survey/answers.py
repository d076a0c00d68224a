"""Answers on their way to the notebook: taken apart into plain data, and put together as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError

if TYPE_CHECKING:
    import pandas as pd

# Kinds of numpy's numbers: booleans, whole numbers, floating-point ones.
_NUMBERS = "biuf"
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Values:
    """A column, or one level of labels (n,): numbers as an array, others as a list; or a "range"."""

    kind: str
    values: NDArray[Any] | list[Any]


@dataclass(frozen=True)
class Labels:
    """An index: its levels with their names."""

    levels: tuple[Values, ...]
    names: tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A table of a ``kind`` (Answer, Selection, DataFrame, Standardiser), or a Series, which has one column."""

    kind: str
    index: Labels
    columns: Labels
    parts: tuple[Values, ...]
    attrs: dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """A number that answers a question, with its noise and how it was made."""

    value: float
    noise_se: float
    attrs: dict[str, Any]


def answers_of(function: Callable[[Any], Any], frame: Any) -> Iterator[tuple[str, Any]]:
    """Name and answer of each question that ``function`` asks ``frame``, taken apart.

    Raises:
        SettingError: it yields something else, two answers of one name, what is no answer, or nothing at all.
    """
    before: set[str] = set()
    for item in function(frame):
        is_pair = type(item) is tuple and len(item) == 2 and type(item[0]) is str
        if not is_pair or item[0] in before:
            raise SettingError(
                f"After {len(before)} answers the questions yielded "
                f"{f'{item[0]!r} a second time' if is_pair else f'an object of type {type(item).__name__}'}.",
                "Each answer comes with a name of its own, by which it is found.",
                'Yield a name and an answer: yield "mean age", frame["age"].mean(epsilon=0.5).',
            )
        before.add(item[0])
        yield item[0], apart(*item)
    if not before:
        raise SettingError(
            "The questions ended without a single answer.",
            "Nothing but what is yielded is sent and shown; what was asked besides stays paid for.",
            'Yield a name and an answer of each question: yield "mean age", frame["age"].mean(epsilon=0.5).',
        )


def apart(name: str, value: Any) -> Any:
    """What is sent of the answer called ``name``.

    Raises:
        SettingError: it is, or holds, something that is no answer.
    """
    import pandas as pd

    from fedlab_nb.analytics.answers import Answer, Number, Standardiser
    from fedlab_nb.analytics.vertical.selection import Selection
    from fedlab_nb.vertical.scorecard.evidence import Evidence

    if isinstance(value, Number):
        return Figure(float(value), value.noise_se, _mapping(name, value.attrs))
    if isinstance(value, Standardiser):
        return _table(name, "Standardiser", value.table)
    if isinstance(value, pd.DataFrame):
        kind = "Selection" if isinstance(value, Selection) else "Answer" if isinstance(value, Answer) else "DataFrame"
        return _table(name, kind, value)
    if isinstance(value, pd.Series):
        return _table(name, "Series", value.to_frame(value.name))
    if type(value) in (list, tuple):
        return type(value)([apart(name, part) for part in value])
    if type(value) is dict:
        return _mapping(name, value)
    if type(value) in (*_PLAIN, Evidence) or (
        isinstance(value, np.generic | np.ndarray) and value.dtype.kind in _NUMBERS
    ):
        return value
    raise SettingError(
        f"The answer {name!r} is or holds an object of type {type(value).__name__}.",
        "Answers come back as data: tables, numbers, text, arrays, and lists or dictionaries of these.",
        "Yield what a question gave, or what you computed from it.",
    )


def together(sent: Any) -> Any:
    """The answer of which this was sent."""
    from fedlab_nb.analytics.answers import Number

    if isinstance(sent, Figure):
        return Number(sent.value, sent.noise_se, together(sent.attrs))
    if isinstance(sent, Table):
        return _whole(sent)
    if isinstance(sent, list | tuple):
        return type(sent)([together(part) for part in sent])
    if isinstance(sent, dict):
        return {together(key): together(part) for key, part in sent.items()}
    return sent


def _mapping(name: str, value: Any) -> dict[Any, Any]:
    return {apart(name, key): apart(name, part) for key, part in value.items()}


def _table(name: str, kind: str, frame: pd.DataFrame) -> Table:
    parts = tuple(_values(name, frame.iloc[:, place]) for place in range(frame.shape[1]))
    return Table(kind, _labels(name, frame.index), _labels(name, frame.columns), parts, _mapping(name, frame.attrs))


def _labels(name: str, index: pd.Index[Any]) -> Labels:
    levels = tuple(_values(name, index.get_level_values(place)) for place in range(index.nlevels))
    return Labels(levels, tuple(apart(name, each) for each in index.names))


def _values(name: str, values: Any) -> Values:
    """Of a Series or one level of an index."""
    import pandas as pd

    if isinstance(values, pd.RangeIndex):
        return Values("range", [values.start, values.stop, values.step])
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in _NUMBERS:
        return Values("numbers", np.array(values))
    kind = "text" if isinstance(values.dtype, pd.StringDtype) else str(values.dtype)
    if kind not in _KINDS:
        raise SettingError(
            f"The answer {name!r} holds a column or an index of type {kind}.",
            "Numbers, text and plain values come back as they were; of others it could not be promised.",
            "Yield it with such columns as text: table.astype(str).",
        )
    return Values(kind, [apart(name, value) for value in values])


_KINDS = {"text": "str", "object": "object"}


def _whole(sent: Table) -> Any:
    import pandas as pd

    from fedlab_nb.analytics.answers import Answer, Standardiser
    from fedlab_nb.analytics.vertical.selection import Selection

    index, columns = _index(sent.index), _index(sent.columns)
    parts = {place: _series(part) for place, part in enumerate(sent.parts)}
    frame = pd.DataFrame(parts, index=range(len(index)))
    frame.index, frame.columns = index, columns
    if sent.kind in ("Answer", "Standardiser"):
        frame = Answer(frame)
    if sent.kind == "Selection":
        frame = Selection(frame)
    frame.attrs.update(together(sent.attrs))
    if sent.kind == "Standardiser":
        return Standardiser(frame)  # type: ignore[arg-type]
    return frame.iloc[:, 0] if sent.kind == "Series" else frame


def _index(sent: Labels) -> pd.Index[Any]:
    import pandas as pd

    if len(sent.levels) == 1:
        (only,), (name,) = sent.levels, sent.names
        if only.kind == "range":
            start, stop, step = only.values
            return pd.RangeIndex(start, stop, step, name=name)
        made: pd.Index[Any] = pd.Index(_series(only), name=name)
        return made
    return cast("pd.Index[Any]", pd.MultiIndex.from_arrays([*map(_series, sent.levels)], names=list(sent.names)))


def _series(sent: Values) -> pd.Series[Any]:
    import pandas as pd

    if sent.kind == "numbers":
        return pd.Series(sent.values)
    return pd.Series([together(value) for value in sent.values], dtype=_KINDS[sent.kind])
