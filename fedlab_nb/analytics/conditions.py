"""Conditions on rows, which owners check beside them: comparisons of a column with a constant, and combinations."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.analytics.values import members, plain_number, plain_value
from fedlab_nb.data.columns import as_numbers, as_values
from fedlab_nb.errors import SettingError
from fedlab_nb.records import Column
from fedlab_nb.units import listed

if TYPE_CHECKING:
    import pandas as pd

MOST_NESTED = 100
"""How many conditions may lie inside each other."""
LONGEST = 10_000
"""How many characters the text of a condition may have."""

Bools = NDArray[np.bool_]
Sign = Literal["==", "!=", "<", "<=", ">", ">="]

_NUMERIC: dict[Sign, Callable[[NDArray[np.float64], float], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_SIGNS: dict[type[ast.cmpop], Sign] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_TURNED: dict[Sign, Sign] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True)
class Compare:
    """True where a column compares so with a constant; a missing value only differs, as in pandas."""

    column: Column
    sign: Sign
    value: object
    depth: ClassVar[int] = 0

    @property
    def text(self) -> str:
        """The condition, completely."""
        return f"{self.column.name!r} {self.sign} {self.value!r}"

    def holds(self, table: pd.DataFrame) -> Bools:
        """Where it holds (n,)."""
        if self.column.kind == "numeric":
            return _NUMERIC[self.sign](as_numbers(table[self.column.name]), float(self.value))  # type: ignore[arg-type]
        same = np.array([value == self.value for value in as_values(table[self.column.name])], dtype=np.bool_)
        return same if self.sign == "==" else ~same


@dataclass(frozen=True)
class Missing:
    """True where a column has no value."""

    column: Column
    depth: ClassVar[int] = 0

    @property
    def text(self) -> str:
        """The condition, completely."""
        return f"{self.column.name!r} is missing"

    def holds(self, table: pd.DataFrame) -> Bools:
        """Where it holds (n,)."""
        return table[self.column.name].isna().to_numpy(dtype=np.bool_)


@dataclass(frozen=True)
class Not:
    """True where a condition is not."""

    part: Condition
    depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", _deeper(self.part))

    @property
    def text(self) -> str:
        """The condition, completely."""
        return f"not ({self.part.text})"

    def holds(self, table: pd.DataFrame) -> Bools:
        """Where it holds (n,)."""
        return ~self.part.holds(table)


@dataclass(frozen=True)
class Both:
    """True where two conditions are; with ``either``, where one of them is."""

    left: Condition
    right: Condition
    either: bool = False
    depth: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", _deeper(self.left, self.right))

    @property
    def text(self) -> str:
        """The condition, completely."""
        return f"({self.left.text}) {'or' if self.either else 'and'} ({self.right.text})"

    def holds(self, table: pd.DataFrame) -> Bools:
        """Where it holds (n,)."""
        left, right = self.left.holds(table), self.right.holds(table)
        return left | right if self.either else left & right


Condition = Compare | Missing | Not | Both


def _deeper(*parts: Condition) -> int:
    """How deeply a condition of these parts is nested.

    Raises:
        SettingError: if owners could not follow it any more.
    """
    depth = 1 + max(part.depth for part in parts)
    if depth > MOST_NESTED:
        raise _too_much(f"A condition inside more than {MOST_NESTED} others was given.")
    return depth


def _too_much(what: str) -> SettingError:
    return SettingError(
        what,
        "Owners check a condition part by part, and so long a one could not be read by anybody who is to agree to it.",
        "Use fewer filters; for one of many values use isin([...]), and for a range of numbers between(low, high).",
    )


def _joined(parts: Sequence[Condition], *, either: bool = False) -> Condition:
    """Several conditions as one, halves of halves, so that many of them are not nested deeply."""
    if len(parts) == 1:
        return parts[0]
    middle = (len(parts) + 1) // 2
    return Both(_joined(parts[:middle], either=either), _joined(parts[middle:], either=either), either=either)


def compare(column: Column, sign: Sign, value: object) -> Compare:
    """The comparison of a column with a constant.

    Raises:
        SettingError: if the two cannot be compared: another column, text with a number, categories by size.
    """
    plain = plain_number(value) if column.kind == "numeric" else plain_value(value)
    if column.kind == "numeric" and plain is None:
        raise SettingError(
            f"The numbers of {column.name!r} were compared with an object of type {type(value).__name__}.",
            "Owners compare each row with one public number, so that the condition says exactly what was asked.",
            f'Compare with a number, for example frame["{column.name}"] > 50.',
        )
    if column.kind == "category" and (sign not in ("==", "!=") or plain is None):
        raise SettingError(
            f"The categories of {column.name!r} were compared by {sign} with an object of type {type(value).__name__}.",
            "Categories are equal to a label or not; they have no order.",
            f'Use == or != with a label, or frame["{column.name}"].isin([...]).',
        )
    return Compare(column, sign, plain)


def is_in(column: Column, values: object) -> Condition:
    """True where a column has one of several values."""
    found = members(values)
    if not found:
        raise SettingError(
            f"What {column.name!r} should be one of has type {type(values).__name__}, and no list of values.",
            "At least one value has to be named, and several ones stand in a list.",
            f'Give a list, for example frame["{column.name}"].isin(["a", "b"]).',
        )
    return _joined([compare(column, "==", value) for value in found], either=True)


def parse(text: object, columns: Mapping[str, Column]) -> Condition:
    """The condition that a text such as "age > 50 and sex == 'male'" means; names with spaces stand in backticks.

    Raises:
        SettingError: if it is anything but comparisons of a column with constants, joined by and, or, not.
    """
    quoted: dict[str, str] = {}

    def replaced(match: re.Match[str]) -> str:
        quoted[f"_quoted_{len(quoted)}"] = match.group(1)
        return f"_quoted_{len(quoted) - 1}"

    if type(text) is not str or "\0" in text:
        raise _unreadable(text if type(text) is str else type(text))
    if len(text) > LONGEST:
        raise _too_much(f"A condition of {len(text):,} characters was given, and at most {LONGEST:,} are read.")
    try:
        tree = ast.parse(re.sub(r"`([^`]+)`", replaced, text).strip(), mode="eval").body
        return _Reader(text, columns, quoted).read(tree)
    except (SyntaxError, RecursionError, MemoryError):
        pass
    raise _unreadable(text)


@dataclass(frozen=True)
class _Reader:
    """From Python's own syntax tree to a condition; nothing is evaluated."""

    text: str
    columns: Mapping[str, Column]
    quoted: Mapping[str, str]

    def read(self, node: ast.expr) -> Condition:
        """The condition of one node."""
        if isinstance(node, ast.BoolOp):
            return _joined([self.read(part) for part in node.values], either=isinstance(node.op, ast.Or))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            return Both(self.read(node.left), self.read(node.right), either=isinstance(node.op, ast.BitOr))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
            return Not(self.read(node.operand))
        if isinstance(node, ast.Compare):
            return self._chain(node)
        raise _unreadable(self.text)

    def _chain(self, node: ast.Compare) -> Condition:
        """``18 <= age < 65`` is two comparisons."""
        sides = [node.left, *node.comparators]
        return _joined([self._one(*part) for part in zip(sides[:-1], node.ops, sides[1:], strict=True)])

    def _one(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        if isinstance(op, ast.In | ast.NotIn) and isinstance(left, ast.Name):
            among = is_in(self._column(left), self._constant(right))
            return Not(among) if isinstance(op, ast.NotIn) else among
        sign = _SIGNS.get(type(op))
        if sign is None or isinstance(left, ast.Name) == isinstance(right, ast.Name):
            raise _unreadable(self.text)
        if isinstance(left, ast.Name):
            return compare(self._column(left), sign, self._constant(right))
        assert isinstance(right, ast.Name)  # exactly one side is a name
        return compare(self._column(right), _TURNED[sign], self._constant(left))

    def _column(self, node: ast.Name) -> Column:
        name = self.quoted.get(node.id, node.id)
        if name not in self.columns:
            raise SettingError(
                f"The condition {self.text!r} names {name!r}, and there is no such column.",
                "Owners check conditions on their own columns only.",
                f"The columns are: {listed(self.columns, most=40)}.",
            )
        return self.columns[name]

    def _constant(self, node: ast.expr) -> object:
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, OverflowError):
            pass
        raise _unreadable(self.text)


def _unreadable(text: object) -> SettingError:
    return SettingError(
        f"The condition {text!r} could not be read.",
        "Owners check simple conditions only: comparisons of a column with constants, joined by and, or, not.",
        "Write it like \"age > 50 and sex == 'male'\", with names that hold spaces in backticks.",
    )
