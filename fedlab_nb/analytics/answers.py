"""Answers: ordinary pandas DataFrames and numbers that say how they were made, and draw themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedlab_nb.analytics.asking import Inquiry
from fedlab_nb.cards import Html, card, folded, framed, pairs_html, panel, table_html
from fedlab_nb.errors import SettingError
from fedlab_nb.units import counted, delta_text, epsilon_text, number

MOST_ROWS_SHOWN = 60
NOISE = "noise se"
_READERS = {
    "none": "the server, which reads every owner's part as well",
    "authority": "the key holder and the server; of single owners nobody reads anything",
    "owners": "the owners, who hold the key, and the server; of single owners the server reads nothing",
    "threshold": "whoever opens sums together with all owners, and the server; of single owners nobody reads anything",
    "masks": "the server; of single owners nobody reads anything",
}


class Answer(pd.DataFrame):
    """The table that answers a question: a DataFrame like any other, with a note of how it was made in ``attrs``.

    "noise se" is the standard error that the noise for privacy brings; sampling error is never part of it. NaN stands
    where too few rows are behind a number to show it.
    """

    @property
    def _constructor(self) -> Callable[..., Answer]:
        return Answer

    @property
    def noise_se(self) -> pd.DataFrame | None:
        """Of a matrix such as ``corr()``: the noise's standard error of each of its numbers; None without noise.

        Raises:
            SettingError: if only a part of the matrix is left, so that its errors are no longer those of its numbers.
        """
        errors = self.attrs.get(NOISE)
        if errors is None:
            return None
        if np.shape(errors) != self.shape:
            raise SettingError(
                f"The noise of a table of shape {self.shape} was asked for, and the answer had {np.shape(errors)}.",
                "Which of its errors belong to this part is not known.",
                "Take noise_se of the answer as it came, and then the part of it.",
            )
        return pd.DataFrame(errors, index=self.index, columns=self.columns)

    def plot(self) -> Any:  # type: ignore[override]
        """The answer as an interactive plotly figure.

        Raises:
            SettingError: if what it draws is no longer in this table.
        """
        from fedlab_nb.view.draw.tables import answer_figure

        try:
            return answer_figure(self.attrs.get("figure", ""), self)
        except (KeyError, IndexError):
            pass
        raise SettingError(
            f"A table with the columns {list(self.columns)[:8]!r} was to be drawn as an answer.",
            "Something that its figure shows is no longer in it.",
            "Draw the answer as it came, or plot this table yourself with plotly.",
        )

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *filter(None, [self._note()])])

    def _note(self) -> str:
        return _in_a_line(self.attrs) + _drowned(self.attrs, bool(self.isna().any(axis=None)))

    def _repr_html_(self) -> str:
        shown = self.head(MOST_ROWS_SHOWN)
        hidden = "<5" if self.attrs.get("hidden cells") else "–"
        head = [" / ".join(map(str, names)) for names in [self.index.names] if any(names)] or [""]
        lines = [
            [_name(label), *(_cell(value, hidden) for value in row)]
            for label, row in zip(shown.index, shown.itertuples(index=False), strict=True)
        ]
        more = f"<p>and {len(self) - MOST_ROWS_SHOWN} more rows</p>" if len(self) > MOST_ROWS_SHOWN else ""
        body = table_html([head[0], *map(_name, self.columns)], lines) + more
        made = folded("How this answer was made", pairs_html(_facts(self.attrs)))
        return framed(panel(self.attrs.get("question", "Answer"), body + made, note=self._note()))


class Number(float):
    """One number that answers a question: a float like any other, with the standard error of its noise.

    ``noise_se`` is 0 without noise; ``attrs`` says how the number was made, like an Answer's.
    """

    noise_se: float
    attrs: dict[str, Any]

    def __new__(cls, value: float, noise_se: float, attrs: Mapping[Any, Any]) -> Number:
        """A number with its noise and its attrs."""
        made = super().__new__(cls, value)
        made.noise_se, made.attrs = float(noise_se), dict(attrs)
        return made

    def __getnewargs__(self) -> tuple[float, float, dict[str, Any]]:  # type: ignore[override]
        return float(self), self.noise_se, self.attrs

    def __repr__(self) -> str:
        if np.isnan(self):
            return f"nan ({self._note()})"
        return f"{float(self):.6g}" + (f" ± {number(self.noise_se)} (noise se)" if self.noise_se else "")

    def _repr_html_(self) -> str:
        value = [("Value", number(self) if self.noise_se else f"{float(self):.6g}")]
        noise = [("Noise se", number(self.noise_se))] if self.noise_se else []
        facts = [*value, *noise, *_facts(self.attrs)]
        return card(self.attrs.get("question", "Answer"), facts, note=self._note())

    def _note(self) -> str:
        return _in_a_line(self.attrs) + _drowned(self.attrs, bool(np.isnan(self)))


@dataclass(frozen=True)
class Standardiser:
    """The centre and scale of each numeric column, for frames of one's own: ``transform(frame)``.

    ``table`` is the Answer they came with (index: columns; "centre", "scale" and, under noise, their noise se).
    """

    table: Answer

    def transform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A copy of ``frame`` whose known columns are (value - centre) / scale; other columns stay as they are.

        NaN where noise left a column's scale unknown.

        Raises:
            SettingError: if it is no table, or has none of the columns.
        """
        if not isinstance(frame, pd.DataFrame):
            raise SettingError(
                f"An object of type {type(frame).__name__} was to be standardised.",
                "Columns are found by their names, which only a table has.",
                "Give a pandas DataFrame of your own, such as frame.mock().",
            )
        names = [str(name) for name in self.table.index if name in frame.columns]
        if not names:
            raise SettingError(
                f"A frame with the columns {list(frame.columns)[:8]!r} was to be standardised.",
                "None of them is a column that centre and scale are known for.",
                f"Name its columns like the owners' ones: {', '.join(map(str, self.table.index[:8]))}.",
            )
        # A column that does not vary is only centred; one whose scale is not known (NaN) stays unknown.
        centre, scale = self.table["centre"], self.table["scale"].mask(self.table["scale"] == 0, 1.0)
        return frame.assign(**{name: (frame[name] - centre[name]) / scale[name] for name in names})

    def __repr__(self) -> str:
        return f"Standardiser({counted(len(self.table), 'column')}: centre and scale in .table)"

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def facts_of(inquiry: Inquiry, note: str = "") -> dict[str, Any]:
    """How an answer was made, as what goes into its ``attrs``."""
    source, house = inquiry.source, inquiry.source.federation.house
    alone = inquiry.by_owner or source.owner is not None
    names = counted(len(inquiry.names), "owner")
    sent = "each readable by the server" if alone or house.encrypt is None else f"added under {house.encrypt!r}"
    facts: dict[str, Any] = {
        "question": inquiry.purpose[:1].upper() + inquiry.purpose[1:],
        "rows": source.text,
        "mode": "exact" if inquiry.exact else "differential privacy",
        "epsilon": inquiry.epsilon,
        "delta": None if inquiry.exact else source.federation.delta,
        "noise multiplier": inquiry.noise_multiplier,
        "noise of a count": inquiry.count_noise,
        "rehearsal": house.noise_seed is not None,
        "owners": len(inquiry.names),
        "alone": alone,
        "hidden cells": inquiry.hidden,
        "left": f"{counted(inquiry.numbers, 'number')} of {names}, {sent}",
        "read by": "the server" if alone else _READERS[house.hiding],
        "note": note,
    }
    if inquiry.lists:
        facts["left"] += f"; and from each owner the values of {', '.join(inquiry.lists)} that it has five rows of"
    return facts


def answered(table: pd.DataFrame, inquiry: Inquiry, figure: str, note: str = "") -> Answer:
    """A table as an Answer that ``figure`` draws, with the facts of how it was made."""
    made = Answer(table)
    made.attrs.update(facts_of(inquiry, note), figure=figure)
    return made


def whole(counts: NDArray[np.float64]) -> NDArray[np.float64] | NDArray[np.int64]:
    """Exact counts as whole numbers, if all of them are shown; others as they are."""
    rounded = np.rint(counts)
    known = bool(np.isfinite(counts).all() and np.abs(counts - rounded).max(initial=0.0) < 1e-3)
    return rounded.astype(np.int64) if known else counts


def _in_a_line(attrs: Mapping[Any, Any]) -> str:
    if not attrs:
        return ""
    if attrs.get("rehearsal"):
        return "A rehearsal: the noise can be repeated, so this answer is not private."
    note = f" {attrs['note']}" if attrs.get("note") else ""
    if attrs.get("mode") == "exact":
        hidden = attrs.get("hidden cells", 0)
        small = f" {counted(hidden, 'number')} not shown, as fewer than 5 rows are behind some." if hidden else ""
        return f"Exact, not protected in the account.{small}{note}"
    told = f"epsilon {epsilon_text(attrs.get('epsilon'))}, delta {delta_text(attrs.get('delta'))}"
    return f"Differentially private: {told} for every row, added or removed.{_noise_words(attrs.get(NOISE))}{note}"


def _drowned(attrs: Mapping[Any, Any], unknown: bool) -> str:
    """Why numbers of a noisy answer are NaN, where some are."""
    if not unknown or attrs.get("mode") != "differential privacy":
        return ""
    rows = f" (±{number(attrs['noise of a count'])} rows in a count)" if attrs.get("noise of a count") else ""
    return f" NaN: the noise{rows} is larger than what it would be read from; ask with more epsilon, or of more rows."


def _noise_words(errors: object) -> str:
    """The noise of a table whose cells have no column for it."""
    if errors is None:
        return ""
    sds = np.hstack([np.ravel(row) for row in errors])  # type: ignore[attr-defined]
    least, most = number(float(sds.min())), number(float(sds.max()))
    return f" Noise se ±{least} in every cell." if least == most else f" Noise se ±{least} to ±{most}."


def _facts(attrs: Mapping[Any, Any]) -> list[tuple[str, object]]:
    if not attrs:
        return []
    rows: list[tuple[str, object]] = [("Asked of", attrs["rows"]), ("What left", attrs["left"])]
    rows.append(("Who read it", attrs["read by"]))
    if attrs["mode"] == "exact":
        seen = "small cells were kept back" if attrs["alone"] else "whoever read it has seen small cells too"
        rows.append(("Protection", f"none: {seen}, and two exact answers can differ by one row"))
    else:
        sd = f"Gaussian noise, multiplier {attrs['noise multiplier']:.3g}"
        rows.append(("Protection", sd + (" (rehearsal, not private)" if attrs["rehearsal"] else "")))
        rows.append(("Epsilon of this question", epsilon_text(attrs["epsilon"])))
    return rows


def _name(label: object) -> str:
    if isinstance(label, tuple):
        return " / ".join(map(_name, label))
    return f"{label:.6g}" if isinstance(label, float) else str(label)


def _cell(value: object, hidden: str) -> object:
    if isinstance(value, float):
        return hidden if np.isnan(value) else f"{value:.6g}"
    return value if isinstance(value, Html) else str(value)
