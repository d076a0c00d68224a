"""Made-up owners to try parts of anybody's own on, and a federation of them that notes what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from fedlab_nb.data.samples import invented
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import DataOwner, Federation, Rows
from fedlab_nb.parties.beside import Work
from fedlab_nb.records import Column, Schema, Update

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

USUAL = Schema(
    (Column("age", "numeric", "float64"), Column("dose", "numeric", "float64"), Column("smokes", "category", "str")),
    Column("ill", "category", "str"),
)
OWNERS = 6
# Few rows for a quick check, different numbers of them at different owners.
FEWEST_ROWS = 9
# What stands in a few cells of each owner, to be found again wherever it should not be: an outlier, or, where a column
# has bounds, a number near the upper one.
MARK, MARK_SHARE, MARKED_ROWS = 3.7035999084, 0.9870359991, 4


@dataclass
class Door:
    """Whether a federation is asking the owners just now; and at whom somebody looked in while it was not."""

    asking: int = 0
    forced: list[str] = field(default_factory=list)
    raised: list[Exception] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[None]:
        """While the federation asks."""
        self.asking += 1
        try:
            yield
        finally:
            self.asking -= 1


class MadeUp(DataOwner):
    """An owner of invented rows, who notices work that did not come through a federation."""

    def __init__(self, door: Door, *facts: Any, **more: Any) -> None:
        super().__init__(*facts, **more)
        self._door = door

    def _inside(self, work: Callable[[Rows], T], *, stage: str) -> T:
        if not self._door.asking:
            self._door.forced.append(self.name)
        return super()._inside(work, stage=stage)

    @property
    def trains_on_nothing(self) -> bool:
        """True if all of its rows are held out."""
        return super()._inside(lambda rows: not len(rows.training[1]), stage="making it up")


@dataclass(frozen=True)
class Village:
    """Made-up owners with a schema: a usual one, or that of a federation whose owners they stand in for."""

    names: tuple[str, ...]
    schema: Schema
    held_out: float

    @classmethod
    def like(cls, federation: Federation | None) -> Village:
        """A village with the owners' names and columns of ``federation``; nothing is asked of its owners.

        Raises:
            SettingError: for what is no federation of owners with the same columns.
        """
        if federation is None:
            return cls(tuple(f"Owner {i}" for i in range(1, OWNERS + 1)), USUAL, 0.2)
        if not isinstance(federation, Federation) or federation.schema.id is not None:
            what = type(federation).__name__ if not isinstance(federation, Federation) else "one of columns"
            raise SettingError(
                f"The federation is {what}.",
                "Owners are made up with the names and columns of a federation whose owners have the same columns.",
                "Pass fl.Federation(owners) of such owners, or leave it out.",
            )
        return cls(federation.names, federation.schema, federation.owners[0].held_out)

    @property
    def mark(self) -> tuple[str, float] | None:
        """The column in which some cells are marked, and with what; None where no column holds fractions."""
        for column in self.schema.features:
            if column.kind == "numeric" and "float" in column.dtype.lower():
                low, high = column.bounds or (0.0, 0.0)
                return column.name, MARK if column.bounds is None else low + MARK_SHARE * (high - low)
        return None

    def owners(self, door: Door) -> list[DataOwner]:
        """The owners, each with rows of its own."""
        return [self._owner(door, i, FEWEST_ROWS + i % 8, i, self.held_out) for i in range(len(self.names))]

    def without_rows(self, door: Door) -> DataOwner:
        """One with the name of the first owner, and no row to train on."""
        # Which rows are held out follows from their content: of a few pairs of rows both are.
        pairs = (self._owner(door, 0, 2, seed, 0.5) for seed in count(1000))
        return next(owner for owner in pairs if owner.trains_on_nothing)

    def _owner(self, door: Door, i: int, rows: int, seed: int, held_out: float) -> MadeUp:
        columns = (*self.schema.features, self.schema.target)
        frame = invented(self.schema, rows, seed)
        if self.mark is not None and rows >= FEWEST_ROWS:
            frame.loc[: MARKED_ROWS - 1, self.mark[0]] = self.mark[1]
        return MadeUp(
            door,
            self.names[i],
            frame,
            target=self.schema.target.name,
            held_out=held_out,
            bounds={c.name: c.bounds for c in columns if c.bounds is not None},
            categories={c.name: c.categories for c in columns if c.categories is not None},
        )


@dataclass(frozen=True)
class Asked:
    """One question to owners: "gather", "collect" or "hear"; whom it was asked, and whether it was for numbers."""

    verb: str
    kind: str
    of: tuple[str, ...]
    numbers: bool = True


class Watched(Federation):
    """A federation of made-up owners that notes what it is asked; with ``turned`` it calls owners in reverse order."""

    def __init__(self, owners: Sequence[DataOwner], door: Door, *, turned: bool = False, **settings: Any) -> None:
        self.asked: list[Asked] = []
        self.door, self._turned = door, turned
        with door.open():
            super().__init__(owners, **settings)

    def cohort(self, number: int, seed: int) -> tuple[str, ...]:
        """Who takes part in a round."""
        named = super().cohort(number, seed)
        return named[::-1] if self._turned else named

    def gather(self, kind: str, work: Work, **terms: Any) -> Update:
        """A sum, noted."""
        self.asked.append(Asked("gather", kind, tuple(terms["cohort"])))
        with self.door.open():
            return super().gather(kind, _Heard(work, self.door), **terms)

    def collect(self, kind: str, work: Work, **terms: Any) -> dict[str, Update]:
        """Single updates, noted."""
        packed = terms.get("payload") is not None  # bytes that stand for numbers which may as well be added up
        self.asked.append(Asked("collect", kind, tuple(terms["cohort"]), numbers=not packed))
        with self.door.open():
            return super().collect(kind, _Heard(work, self.door), **terms)

    def hear(
        self, kind: str, work: Callable[[str, Rows], NDArray[np.float64] | str], **terms: Any
    ) -> dict[str, NDArray[np.float64] | str]:
        """Single answers, noted."""
        with self.door.open():
            answers = super().hear(kind, _Heard(work, self.door), **terms)
        numbers = any(not isinstance(answer, str) for answer in answers.values())
        self.asked.append(Asked("hear", kind, tuple(answers), numbers))
        return answers


class _Heard:
    """Work beside rows whose failure is told in full: these rows are nobody's."""

    def __init__(self, work: Any, door: Door) -> None:
        self._work, self._door = work, door

    @property
    def at_once(self) -> bool:
        return bool(getattr(self._work, "at_once", False))

    def __call__(self, name: str, rows: Rows) -> Any:
        return self._told(lambda: self._work(name, rows))

    def together(self, rows: Mapping[str, Rows]) -> Any:
        return self._told(lambda: self._work.together(rows))

    def _told(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception as error:
            self._door.raised.append(error)
            raise
