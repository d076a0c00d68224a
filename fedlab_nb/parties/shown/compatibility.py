"""The compatibility matrix as a table to look at: every need under every protection, with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedlab_nb.cards import Html, folded, framed, marked, panel, shown, table_html
from fedlab_nb.parties.matrix import MATRIX, PROTECTIONS, Cell, Need

if TYPE_CHECKING:
    import pandas as pd

MARKS = {
    "works": ("✓", "works", "fl-good"),
    "works with care": ("◐", "with care", "fl-maybe"),
    "refused": ("✕", "refused", "fl-bad"),
}
REASONS = "Why, and what to do"
NOTE = (
    "With care: it is let through, and the strategy has to do what is said below. Refused: before anything leaves. "
    "Under no protection everything works, and the server reads every owner's update."
)


def compatibility() -> Compatibility:
    """Which strategies fit which protections: shows as a table, and ``.frame()`` gives it as one.

    >>> compatibility().frame().loc[("single updates", "CKKS"), "verdict"]
    'refused'
    """
    return Compatibility(MATRIX)


@dataclass(frozen=True, repr=False)
class Compatibility:
    """What strategies need beyond a sum, and whether it works under each protection of a federation."""

    needs: tuple[Need, ...]

    def frame(self) -> pd.DataFrame:
        """A row for each need under each protection: strategies, verdict, why it is refused, what to do."""
        import pandas as pd

        names = ["need", "protection", "meaning", "strategies", "verdict", "why", "what to do"]
        rows = [
            (need.name, protection, need.meaning, need.strategies, cell.verdict, cell.why, cell.do)
            for need in self.needs
            for protection in PROTECTIONS
            for cell in [need.under(protection)]
        ]
        return pd.DataFrame(rows, columns=names).set_index(["need", "protection"])

    def __repr__(self) -> str:
        import pandas as pd

        verdicts = {p: [need.under(p).verdict for need in self.needs] for p in PROTECTIONS}
        return pd.DataFrame(verdicts, index=[need.name for need in self.needs]).to_string()

    def _repr_html_(self) -> str:
        cells = [(need, [need.under(protection).verdict for protection in PROTECTIONS]) for need in self.needs]
        rows = [(_named(need), *(marked(*MARKS[verdict]) for verdict in verdicts)) for need, verdicts in cells]
        table = table_html(("Needed by a strategy", *PROTECTIONS), rows)
        lines = [line for need in self.needs for line in _reasons(need)]
        body = table + folded(REASONS, table_html(("Need", "Under", "", REASONS), lines))
        return framed(panel("Which strategies go with which protections", body, note=NOTE))


def _named(need: Need) -> Html:
    """The need with what it means and who needs it."""
    return Html(f'{shown(need.name)}: {shown(need.meaning)}<br><span class="fl-soft">{shown(need.strategies)}</span>')


def _reasons(need: Need) -> list[tuple[object, ...]]:
    """A line for each different reason, with the protections that it holds under."""
    under: dict[Cell, list[str]] = {}
    for protection in PROTECTIONS:
        under.setdefault(need.under(protection), []).append(protection)
    return [
        (need.name, ", ".join(names), marked(*MARKS[cell.verdict]), f"{cell.why} {cell.do}".strip())
        for cell, names in under.items()
        if cell.do
    ]
