"""A data owner: rows that answer no question themselves, and the one door through which work reaches them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar
from weakref import WeakKeyDictionary

from fedlab_nb.cards import folded, framed, pairs_html, panel
from fedlab_nb.data.samples import invented
from fedlab_nb.errors import FedLabError, PrivateDataError, RoundError, SchemaError
from fedlab_nb.parties.columns.ids import with_invented_ids
from fedlab_nb.parties.columns.intake import check_settings, take_in
from fedlab_nb.parties.rows import Rows
from fedlab_nb.privacy import Budget
from fedlab_nb.records import Schema
from fedlab_nb.records.schema import NO_TARGET
from fedlab_nb.units import counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DataOwner", "Rows"]

T = TypeVar("T")

PUBLIC = ["budget", "held_out", "id", "mock", "name", "schema", "target"]


class DataOwner:
    """A party with private rows: they take part in sums and training, and are shown to nobody.

    ``data`` is a DataFrame (copied) or the path of a .csv or .parquet file. Numbers are numeric columns; strings,
    booleans and pandas categories are category columns; dates are refused. Rows without a target are left out;
    the frame's index is not a column.
    A target of strings, booleans, categories, or at most 20 different whole numbers is a class; otherwise a number.

    ``bounds`` and ``categories`` are public declarations per column. Where they are given, nothing has to be learned
    about the column's range or values, which saves privacy budget: values outside bounds are clipped to them, values
    outside categories count as unknown (and a row with such a target is left out).

    ``held_out`` is the share of rows, about, that are never trained on. Which ones depends on nothing but each row's
    own content (a hash of it): so training and held-out rows are disjoint for the privacy account whatever other rows
    come, go or change places, and the same row is on the same side in every run.

    ``budget`` is what this owner spends at most; left out, it goes along with what a federation agrees on.

    ``id`` names the column by which owners of different columns find the rows that they have in common: whole numbers
    or text, none missing, none twice. It is no feature. With an id, ``target`` may be left out: another owner has it.
    Which rows are held out then follows from the id alone, so that it is the same rows at every owner.
    A list, such as ``id=["name", "born"]``, stands for an id that nobody has: fl.vertical.link finds rows that are
    alike in these columns (text, whole numbers, dates). Rows that lack one of them are left out.

    Inside one process this is a teaching wall, not a security boundary: it stops every ordinary way of looking, but
    whoever can run any Python code here can reach this memory. Real walls are separate machines.

    Raises:
        SettingError: if a parameter cannot work.
        SchemaError: if the data has no usable rows, columns or target.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [41.0, 52.0, 63.0], "ill": ["no", "yes", "yes"]})
    >>> DataOwner("Clinic A", frame, target="ill")
    DataOwner('Clinic A', 1 numeric and 0 categorical columns, target 'ill', rows private)
    >>> DataOwner("Shop", frame.assign(customer=[7, 8, 9]), id="customer")
    DataOwner('Shop', 1 numeric and 1 categorical columns, no target, id 'customer', rows private)
    """

    def __init__(
        self,
        name: str,
        data: pd.DataFrame | str | Path,
        *,
        target: str | None = None,
        id: str | Sequence[str] | None = None,  # noqa: A002 - the field's word
        held_out: float = 0.2,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        categories: Mapping[str, Sequence[object]] | None = None,
        budget: Budget | None = None,
    ) -> None:
        check_settings(name, target, id, held_out, budget)

        def unreadable(kind: str) -> FedLabError:
            return SchemaError(
                f"The data of {name!r} could not be taken in ({kind}).",
                "The message is withheld, because it may quote private values.",
                "Look at the frame's dtypes, and convert unusual columns to numbers or strings.",
            )

        taken, failure = _attempt(lambda: take_in(name, data, target, id, held_out, bounds, categories), unreadable)
        data = ""  # no frame of a traceback may hold rows
        if failure is not None:
            raise failure from None
        schema, _ROWS[self] = taken[0]
        self._facts = (name, schema.target.name, schema, float(held_out), budget)

    @property
    def name(self) -> str:
        """The owner's name; public."""
        return self._facts[0]

    @property
    def target(self) -> str:
        """Name of the column to predict; public. "" where another owner has it."""
        return self._facts[1]

    @property
    def id(self) -> str | tuple[str, ...] | None:
        """Name of the column, or columns, by which rows of other owners are found; public. None without an id."""
        named = tuple(column.name for column in self.schema.linked_by)
        return named or (self.schema.id.name if self.schema.id else None)

    @property
    def schema(self) -> Schema:
        """Names, kinds and declared ranges of the columns; public."""
        return self._facts[2]

    @property
    def held_out(self) -> float:
        """Share of the rows that are never trained on; public."""
        return self._facts[3]

    @property
    def budget(self) -> Budget | None:
        """What this owner spends at most, whatever a federation agrees on; None leaves it to the federation."""
        return self._facts[4]

    def mock(self, rows: int = 5, seed: int = 0) -> pd.DataFrame:
        """``rows`` invented rows with the same columns, to try code on: nothing in them comes from real rows.

        Values are drawn evenly from declared bounds and categories, else from standard ones (0 to 1, 0 to 99 for
        whole numbers, "A" to "C"). ``attrs`` says that they are invented.

        Raises:
            SettingError: if ``rows`` is not a positive whole number.
        """
        mock = invented(self.schema, rows, seed).drop(columns=NO_TARGET.name, errors="ignore")
        return with_invented_ids(mock, self.schema)

    def _inside(self, work: Callable[[Rows], T], *, stage: str) -> T:
        """What ``work`` returns, run beside the rows: the Federation's only door.

        Raises:
            RoundError: if ``work`` fails, naming the owner and the stage; the original message and traceback are
                withheld, because they may quote rows. An error of this package passes, without its traceback.
        """

        def failed(kind: str) -> FedLabError:
            return RoundError(
                self.name,
                stage,
                f"{stage} at {self.name!r} failed with {kind}; "
                "its text is withheld because it may quote private values.",
                "Nothing of this step left the owner.",
                "Try the same code on owner.mock(rows=200), where errors are shown in full.",
            )

        result, failure = _attempt(lambda: work(_ROWS[self]), failed)
        if failure is not None:
            raise failure from None
        return result[0]

    def __repr__(self) -> str:
        if "_facts" not in self.__dict__:  # a traceback may show an owner whose making failed
            return "DataOwner(not made)"
        numbers, labels = len(self.schema.numeric), len(self.schema.categorical)
        return (
            f"DataOwner({self.name!r}, {numbers} numeric and {labels} categorical columns, "
            + (f"target {self.target!r}" if self.target else "no target")
            + (f", id {self.id!r}, rows private)" if self.id else ", rows private)")
        )

    def __format__(self, spec: str) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        target = self.schema.target
        kind = "a number" if target.kind == "numeric" else "classes"
        rows = [
            ("Rows", "private"),
            ("Columns", f"{len(self.schema.numeric)} numeric, {len(self.schema.categorical)} categorical"),
            ("Target", f"{target.name} ({kind})" if self.target else "none: another owner has it"),
            *([("Id", f"{self.schema.id.name}: finds other owners' rows, no feature")] if self.schema.id else []),
            ("Held out for testing", f"about {self.held_out:.0%} of the rows"),
        ]
        columns = folded(f"All {counted(len(self.schema.features) + 1, 'column')}", self.schema.columns_html())
        note = "You may ask for .schema and .mock(). Inside one process the wall teaches; it does not secure."
        return framed(panel(f"Data owner: {self.name}", pairs_html(rows) + columns, note=note))

    def __dir__(self) -> Iterable[str]:
        return PUBLIC

    def _ipython_key_completions_(self) -> list[str]:
        return []

    def __bool__(self) -> bool:
        return True

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        # Owners may be found in a list; a comparison with anything else would be a question about rows.
        if isinstance(other, DataOwner):
            return self is other
        raise _refusal(self, "comparing it")

    def __getattr__(self, name: str) -> NoReturn:
        import pandas as pd

        facts = self.__dict__.get("_facts")
        known = (
            {column.name for column in (*facts[2].features, facts[2].id, *facts[2].linked_by) if column}
            if facts
            else set()
        )
        asked = not name.startswith("_") and (
            hasattr(pd.DataFrame, name) or name in known | {"frame", "data", "df", "rows"}
        )
        if facts and asked:
            raise _refusal(self, f".{name}")
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}", name=name, obj=self)


# A weak map beside the class rather than an attribute, so that vars(owner) and tab completion find nothing.
_ROWS: WeakKeyDictionary[DataOwner, Rows] = WeakKeyDictionary()

_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul", "and", "or", "xor")
_SEALED = {
    "len()": ("__len__",),
    "going through it": ("__iter__", "__reversed__", "__contains__"),
    "[...]": ("__getitem__", "__setitem__", "__delitem__"),
    "copying or pickling it": ("__copy__", "__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__"),
    "making an array or a table of it": ("__array__", "__dataframe__", "__arrow_c_stream__", "__array_ufunc__"),
    "comparing it": ("__lt__", "__le__", "__gt__", "__ge__"),
    "calculating with it": (
        *(f"__{side}{name}__" for name in _ARITHMETIC for side in ("", "r")),
        *("__neg__", "__pos__", "__abs__", "__invert__", "__float__", "__int__", "__index__", "__round__"),
    ),
}


def _refusal(owner: DataOwner, asked: str) -> PrivateDataError:
    return PrivateDataError(
        f"{owner.name!r} does not allow {asked}: its rows are private.",
        "A data owner takes part in sums and training; its rows are shown to nobody.",
        "Ask for .schema (columns), .mock() (invented rows), or train: fl.train(fl.Federation(owners), ...).",
    )


def _sealed(asked: str) -> Callable[..., NoReturn]:
    def refuse(self: DataOwner, *_: object, **__: object) -> NoReturn:
        raise _refusal(self, asked)

    return refuse


for _asked, _specials in _SEALED.items():
    for _special in _specials:
        setattr(DataOwner, _special, _sealed(_asked))


def _attempt(work: Callable[[], T], explain: Callable[[str], FedLabError]) -> tuple[list[T], BaseException | None]:
    """([result], None), or ([], error) with no trace of what the rows looked like when ``work`` failed."""
    failure: BaseException
    try:
        return [work()], None
    except FedLabError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - any error of any library may quote a row
        failure = explain(type(error).__name__)
    except BaseException as error:  # noqa: BLE001 - an interruption goes on, but without the frames that hold rows
        failure = error
    failure.__cause__ = failure.__context__ = None
    return [], failure.with_traceback(None)


def inside_together(owners: Sequence[DataOwner], work: Callable[[Mapping[str, Rows]], T], *, stage: str) -> T:
    """What ``work`` returns, run once beside the rows of all ``owners``, by name: as ``DataOwner._inside`` for each.

    Raises:
        RoundError: if ``work`` fails; its text is withheld, because it may quote rows.
    """

    def failed(kind: str) -> FedLabError:
        return RoundError(
            "federation",
            stage,
            f"{stage} at {len(owners)} owners together failed with {kind}; "
            "its text is withheld because it may quote private values.",
            "Nothing of this step left the owners.",
            "Pass executor='sequential' to the strategy: it names the owner at which it fails.",
        )

    result, failure = _attempt(lambda: work({owner.name: _ROWS[owner] for owner in owners}), failed)
    if failure is not None:
        raise failure from None
    return result[0]
