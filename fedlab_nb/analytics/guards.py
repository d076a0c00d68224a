"""What a guarded frame refuses: each way of looking at rows, with the question to ask instead."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NoReturn

from fedlab_nb.errors import PrivateDataError

_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "and", "or", "xor")
_SEALED = {
    "len()": ("__len__",),
    "going through it": ("__iter__", "__reversed__", "__contains__"),
    "changing it": ("__setitem__", "__delitem__"),
    "copying or pickling it": ("__copy__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__"),
    "making an array or a table of it": ("__array__", "__dataframe__", "__arrow_c_stream__", "__array_ufunc__"),
    "taking it for true or false": ("__bool__",),
    "comparing it": ("__lt__", "__le__", "__gt__", "__ge__"),
    "calculating with it": (
        *(f"__{side}{name}__" for name in _ARITHMETIC for side in ("", "r")),
        *("__neg__", "__pos__", "__abs__", "__invert__", "__float__", "__int__", "__index__", "__round__"),
    ),
}

_ROWS = "Ask for .mock() (invented rows) or .describe() (what the rows are like together)."
_EXTREMES = "Ask for quantile(.01) or quantile(.99): the smallest and the largest value are single rows."
_SIZE = "Ask for .count(), which is protected like every other answer."
_LIST = "Ask for value_counts(column), with categories={column: [...]} declared where the list is public."
INSTEAD = {
    **dict.fromkeys(
        [
            *("head", "tail", "sample", "values", "to_numpy", "iloc", "loc", "at", "iat", "iterrows", "itertuples"),
            *("items", "to_csv", "to_parquet", "to_dict", "to_json", "to_excel", "to_string", "to_pickle", "to_list"),
            *("sort_values", "nlargest", "nsmallest", "index", "T", "tolist", "to_sql", "to_records", "xs", "take"),
            *("copy", "array", "[...]", "going through it", "making an array or a table of it"),
        ],
        _ROWS,
    ),
    **dict.fromkeys(("min", "max", "idxmin", "idxmax", "argmin", "argmax", "clip", "rank"), _EXTREMES),
    **dict.fromkeys(("shape", "size", "len()", "empty", "ndim", "nbytes", "memory_usage", "info"), _SIZE),
    **dict.fromkeys(("unique", "nunique", "mode", "drop_duplicates", "duplicated", "isin"), _LIST),
    "pivot_table": 'Ask for groupby("sex")["age"].mean() or crosstab("sex", "smoker").',
    "pivot": 'Ask for crosstab("sex", "smoker").',
    "hist": "Ask for histogram(column) and its .plot().",
    "plot": "Ask for histogram(column), describe() or corr(): each answer has a .plot().",
    "boxplot": "Ask for describe(), whose .plot() draws boxes.",
    "dropna": 'Keep rows by a condition: frame[frame["age"].notna()].',
    "fillna": "Ask for missing(), and fill in your own code after transform().",
    "agg": 'Ask one statistic at a time, such as groupby("sex")["age"].mean().',
    "aggregate": "Ask one statistic at a time, such as describe() or groupby(...)[...].mean().",
    "apply": "Owners run no foreign code on rows: ask for a statistic, or train a model with fl.train.",
    "map": "Owners run no foreign code on rows: ask for a statistic, or train a model with fl.train.",
    "skew": "Ask for histogram(column): its shape shows the skew.",
    "median": "Ask for quantile(.5).",
    **dict.fromkeys(
        ("mean", "std", "var", "sum", "sem", "prod"),
        'Name a column, frame["age"].mean() or groupby("sex")["age"].mean(); or ask describe() for all of them.',
    ),
    **dict.fromkeys(("isna", "notna", "isnull"), 'Ask for missing(), or of one column for frame["age"].isna().sum().'),
}
_ANYTHING = (
    "Ask for describe(), value_counts(), histogram(), quantile(), corr(), groupby() or .mock(); see help(frame)."
)


def refusal(name: str, asked: str) -> PrivateDataError:
    """The error that refuses one way of looking at ``name`` and says what to ask instead."""
    return PrivateDataError(
        f"{name} does not allow {asked}: its rows are private.",
        "Only sums over all rows leave their owners, protected and counted; single rows are shown to nobody.",
        INSTEAD.get(asked.removeprefix("."), _ANYTHING),
    )


class Guarded:
    """What answers questions about rows and shows none of them: the rest of the pandas API teaches."""

    _name = "This frame"

    def __getattr__(self, name: str) -> NoReturn:
        import pandas as pd

        if not name.startswith("_") and name in self._columns():
            raise PrivateDataError(
                f"Column {name!r} was asked for as an attribute.",
                "A column could be called like a method, so columns are found by their names in brackets only.",
                f'Write ["{name}"] in place of .{name}.',
            )
        if not name.startswith("_") and (hasattr(pd.DataFrame, name) or hasattr(pd.Series, name) or name in INSTEAD):
            raise refusal(self._name, f".{name}")
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}", name=name, obj=self)

    def _columns(self) -> Collection[str]:
        """The names of the columns that could be meant."""
        return ()

    def __eq__(self, other: object) -> bool:
        # It may be found in a list; a comparison with anything else would be a question about rows.
        if self is other:
            return True
        raise refusal(self._name, "comparing it")

    def __hash__(self) -> int:
        return id(self)

    def __format__(self, spec: str) -> str:
        return repr(self)


def _sealed(asked: str) -> Callable[..., NoReturn]:
    def refuse(self: Guarded, *_: object, **__: object) -> NoReturn:
        raise refusal(self._name, asked)

    return refuse


for _asked, _specials in _SEALED.items():
    for _special in _specials:
        setattr(Guarded, _special, _sealed(_asked))
