"""What was measured of each channel, as one table: to look at, to compute with, and in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, NamedTuple

from fedlab_nb.channel.compare.readers import Reader
from fedlab_nb.channel.opening import Encryption
from fedlab_nb.errors import FedLabError
from fedlab_nb.records import Peek
from fedlab_nb.units import bytes_text, counted

if TYPE_CHECKING:
    import pandas as pd


class Step(NamedTuple):
    """Messages of one kind that go the same way at once; ``times`` says how often that happened."""

    kind: str
    sender: str
    receiver: str
    times: int
    messages: int
    nbytes: int
    sealed: bool


class Dropped(NamedTuple):
    """A sum that owners dropped out of: how many, how many stayed, the error on the grid, what was sent again."""

    owners: int
    left: int
    error: float | None
    again: int
    refused: FedLabError | None


@dataclass(frozen=True)
class ChannelFigures:
    """One channel: its scheme, its name, and what was measured of one sum through it.

    ``message_bytes`` is the message with one owner's numbers, ``owner_bytes`` all that an owner sends (the mean over
    those who are there), ``all_bytes`` all that crosses. ``error`` is the largest one against the exact sum,
    ``grid_error`` against the exact sum on the scheme's own grid. ``found`` is what the server finds in Owner 1's
    message; ``refused`` why no sum came out. What there is none of is None.
    """

    scheme: Encryption | None
    name: str
    _: KW_ONLY
    message_bytes: int
    bytes_per_number: float
    owner_bytes: float
    all_bytes: int
    messages: int
    steps: tuple[Step, ...]
    seconds: float
    stages: Mapping[str, float]
    error: float | None
    grid_error: float | None
    grid_bits: int | None
    found: Peek | None
    readers: tuple[Reader, ...]
    dropped: Dropped
    refused: FedLabError | None

    @property
    def trips(self) -> int:
        """How many times something has to be waited for."""
        return sum(step.times for step in self.steps)


@dataclass(frozen=True, repr=False)
class ChannelComparison:
    """The same numbers through several channels: shows as a table to project, ``.frame()`` gives it to compute with.

    ``own`` are the first numbers of Owner 1, which are invented like all others.
    """

    owners: int
    numbers: int
    dropouts: int
    seed: int
    own: tuple[float, ...]
    columns: tuple[ChannelFigures, ...]

    def frame(self) -> pd.DataFrame:
        """One column a scheme, one row a figure; bytes and seconds as plain numbers, the rest as text."""
        import pandas as pd

        stages = list(dict.fromkeys(stage for column in self.columns for stage in column.stages))
        return pd.DataFrame({column.name: _figures(column, stages) for column in self.columns}, dtype=object)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{c.name} {'refused' if c.refused else bytes_text(c.message_bytes)}" for c in self.columns)
        gone = f", {counted(self.dropouts, 'drop-out')}" if self.dropouts else ""
        return f"ChannelComparison({self.owners} owners, {counted(self.numbers, 'number')}{gone}: {sizes} an update)"

    def _repr_html_(self) -> str:
        from fedlab_nb.channel.compare.card import comparison_card

        return comparison_card(self)


def _figures(column: ChannelFigures, stages: Sequence[str]) -> dict[str, object]:
    """All figures of a column by their names; no seconds for a stage that it does not have."""
    return {
        "refused": str(column.refused or ""),
        "bytes of one update": column.message_bytes,
        "bytes a number": column.bytes_per_number,
        "bytes an owner sends": column.owner_bytes,
        "bytes in all": column.all_bytes,
        "messages": column.messages,
        "steps": column.trips,
        "seconds": column.seconds,
        **{f"seconds: {stage}": column.stages.get(stage) for stage in stages},
        "largest error": column.error,
        "largest error on the grid": column.grid_error,
        "bits of the grid after the point": column.grid_bits,
        "the server finds": str(column.found or ""),
        "who could read one update": "; ".join(reader.who for reader in column.readers),
        "if owners drop out": dropped_words(column.dropped),
    }


def dropped_words(dropped: Dropped) -> str:
    """What became of a sum that owners dropped out of, in a line."""
    if dropped.refused:
        return f"refused: {dropped.refused.what}"
    exact = "exact" if dropped.error == 0 else f"wrong by {dropped.error:.1e}"
    again = f", after {counted(dropped.again, 'more message')}" if dropped.again else ""
    return f"the sum of the other {dropped.left} is {exact}{again}"
