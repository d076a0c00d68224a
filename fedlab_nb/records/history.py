"""All rounds of a run so far."""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex, overload

from fedlab_nb.cards import framed, one_line, panel, table_html
from fedlab_nb.errors import SettingError
from fedlab_nb.records.round import Round
from fedlab_nb.units import LOWER_IS_BETTER, bytes_text, counted, epsilon_text, metric_name, number

if TYPE_CHECKING:
    import pandas as pd

# A card shows that many rounds: the newest.
MOST_ROUNDS = 10
# Settings that move by themselves, every round: nobody changed them.
MOVING = frozenset({"adaptive_clip"})


class History(tuple[Round, ...]):
    """The rounds of a run, oldest first: a tuple that can also be read as a table.

    Slices stay histories, so ``history[:5].frame()`` works; ``after=history[-1]`` continues a run.
    """

    __slots__ = ()

    @overload
    def __getitem__(self, key: SupportsIndex) -> Round: ...
    @overload
    def __getitem__(self, key: slice) -> History: ...
    def __getitem__(self, key: SupportsIndex | slice) -> Round | History:
        return History(super().__getitem__(key)) if isinstance(key, slice) else super().__getitem__(key)

    def __add__(self, other: tuple[Round, ...]) -> History:  # type: ignore[override]
        return History((*self, *other))

    @classmethod
    def load(cls, folder: str | Path) -> History:
        """The rounds that ``fl.train(..., checkpoint=folder)`` kept: any of them can be gone on from with ``after=``.

        Where the newest are damaged, a warning says so, and the rounds before them are given.

        Raises:
            SettingError: if no round in the folder can be read.
        """
        from fedlab_nb.records.kept import Folder

        found, left_out = Folder(folder).read()
        if not found:
            raise SettingError(
                f"There is no round in the folder {str(folder)!r}.",
                "A history is read from what a run has kept there.",
                "Name the folder of a run: fl.train(..., checkpoint='runs/first'), then fl.History.load('runs/first').",
            )
        if left_out:
            warnings.warn(left_out, stacklevel=2)
        return cls(found)

    def frame(self) -> pd.DataFrame:
        """One row a round (see Round.row): NaN where a metric was not released; of the settings those that changed."""
        import pandas as pd

        table = pd.DataFrame([r.row() for r in self])
        if table.empty:
            return pd.DataFrame(columns=["round"]).set_index("round")
        still = {name for r in self for name in r.settings} - {name for _, name, _, _ in self.changes}
        return table.drop(columns=[name for name in table.columns if name in still]).set_index("round")

    def to_csv(self, path: str | Path) -> Path:
        """Write the table to ``path`` and return it."""
        path = Path(path)
        self.frame().to_csv(path)
        return path

    @property
    def completed(self) -> History:
        """Only the rounds that did not fail."""
        return History(r for r in self if r.failed is None)

    @property
    def changes(self) -> tuple[tuple[int, str, float, float], ...]:
        """Every setting that changed between two rounds: (round from which it holds, name, before, after)."""
        return tuple(
            (after.number, name, before.settings[name], value)
            for before, after in pairwise(self)
            for name, value in after.settings.items()
            if name in before.settings and before.settings[name] != value and name not in MOVING
        )

    def series(self, metric: str) -> tuple[list[int], list[float]]:
        """Round numbers and values of ``metric``, where it was released."""
        pairs = [(r.number, r.metrics[metric]) for r in self.completed if metric in r.metrics]
        return [n for n, _ in pairs], [v for _, v in pairs]

    def __repr__(self) -> str:
        if not self:
            return "History(no rounds yet)"
        return one_line(f"History({counted(len(self), 'round')}; last: {self[-1].score_words()})")

    def _repr_html_(self) -> str:
        title = f"History of {counted(len(self), 'round')}" if self else "History: no rounds yet"
        if not self:
            return framed(panel(title, ""))
        failed = [r for r in self if r.failed is not None]
        note = f"The newest {MOST_ROUNDS} rounds are shown. " * (len(self) > MOST_ROUNDS)
        note += "".join(f"Round {r.number} failed at {r.failed} " for r in failed[-3:])
        return framed(panel(title, self._scores_html() + self._rounds_html(), note=f"{note}.frame() has all of it."))

    def _scores_html(self) -> str:
        """Each metric's first, best and last value; the best of noisy releases is but the luckiest, so none is told."""
        rows = []
        for name in dict.fromkeys(name for r in self for name in r.metrics):
            numbers, values = self.series(name)
            if not values:
                continue
            best = (min if name in LOWER_IS_BETTER else max)(values)
            noise = self.completed[-1].noise.get(name)
            told = f"{number(best)} in round {numbers[values.index(best)]}"
            last = number(values[-1]) + (f" (noise ±{number(noise)})" if noise else "")
            rows.append((metric_name(name), number(values[0]), "not said: each has noise" if noise else told, last))
        return table_html(("On held-out rows", "First", "Best", "Last"), rows) if rows else ""

    def _rounds_html(self) -> str:
        names = list(dict.fromkeys(name for r in self for name in r.metrics))
        rows = [
            (
                r.number,
                *(number(r.metrics.get(name)) for name in names),
                epsilon_text(r.epsilon),
                len(r.cohort),
                bytes_text(r.sent),
                f"{sum(r.seconds.values()):.2f} s",
                "" if r.failed is None else f"failed: {r.failed.party}",
            )
            for r in self[-MOST_ROUNDS:]
        ]
        columns = ("Round", *map(metric_name, names), "Epsilon", "Owners", "Sent", "Took", "")
        return table_html(columns, rows)
