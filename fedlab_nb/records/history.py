"""All rounds of a run so far."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex, overload

from fedlab_nb.records.round import Round

if TYPE_CHECKING:
    import pandas as pd


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

    def frame(self) -> pd.DataFrame:
        """One row a round (see Round.row); a metric that was not released is NaN."""
        import pandas as pd

        table = pd.DataFrame([r.row() for r in self])
        if table.empty:
            return pd.DataFrame(columns=["round"]).set_index("round")
        return table.set_index("round")

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
            if name in before.settings and before.settings[name] != value
        )

    def series(self, metric: str) -> tuple[list[int], list[float]]:
        """Round numbers and values of ``metric``, where it was released."""
        pairs = [(r.number, r.metrics[metric]) for r in self.completed if metric in r.metrics]
        return [n for n, _ in pairs], [v for _, v in pairs]

    def __repr__(self) -> str:
        if not self:
            return "History(no rounds yet)"
        last = self[-1]
        scores = ", ".join(f"{name} {value:.3f}" for name, value in last.metrics.items())
        return f"History({len(self)} rounds; last: {last.failed or scores})"
