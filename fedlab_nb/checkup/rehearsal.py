"""Rehearsals of a run on a table that may be looked at: divided among owners, trained, scored on rows held apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from fedlab_nb.channel import Channel, Channels, Encryption
from fedlab_nb.data.intake import load
from fedlab_nb.data.partitioners import skewed
from fedlab_nb.errors import SettingError
from fedlab_nb.parties import DataOwner, Federation, split_rows
from fedlab_nb.rounds import Strategy, rounds

if TYPE_CHECKING:
    import pandas as pd

    from fedlab_nb.learn import TrainedModel

# The share of rows that no rehearsal trains on: as much as an owner holds out if nobody says otherwise.
APART = 0.2


@dataclass(frozen=True)
class Divided:
    """One way to divide the table: owners who hold out nothing, the rows held apart, and the seed of what follows."""

    owners: tuple[DataOwner, ...]
    apart: pd.DataFrame
    metric: str
    seed: int


def divided(
    frame: pd.DataFrame,
    owners: int,
    *,
    skew: float = 0.0,
    target: str | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    seed: int = 0,
    repeats: int = 1,
) -> list[Divided]:
    """``repeats`` ways to divide the table at random: as ``split_rows`` would, but with rows held apart before.

    Raises:
        SettingError, SchemaError: as ``split_rows`` does, or if too few rows are left for the owners.
    """
    like = split_rows(frame, owners, skew=skew, target=target, bounds=bounds, seed=seed)[0]
    rows = load(frame)
    rows = rows[rows[like.target].notna()]
    if like.schema.target.kind == "numeric":
        # Few different whole numbers must not be taken for classes.
        rows = rows.astype({like.target: float})
    aside = max(round(APART * len(rows)), 1)
    if len(rows) - aside < 2 * owners:
        raise SettingError(
            f"A table of {len(rows)} rows with a target was to be divided among owners={owners!r}, {aside} held apart.",
            "Each owner needs at least 2 rows to train on, and some are needed to score on.",
            "Give a larger table, or fewer owners.",
        )
    return [_once(rows, aside, like, owners, skew, np.random.default_rng([seed, n])) for n in range(repeats)]


def _once(
    rows: pd.DataFrame, aside: int, like: DataOwner, owners: int, skew: float, rng: np.random.Generator
) -> Divided:
    """``aside`` rows held apart, the others divided among owners with the columns of ``like``."""
    columns, number_wanted = (*like.schema.features, like.schema.target), like.schema.target.kind == "numeric"
    order = rng.permutation(len(rows))
    apart, rest = rows.iloc[order[:aside]], rows.iloc[order[aside:]]
    rest.attrs["target"] = like.target
    made = tuple(
        DataOwner(
            f"Owner {place}",
            rest.iloc[part],
            target=like.target,
            held_out=0.0,
            bounds={c.name: c.bounds for c in columns if c.bounds is not None},
            categories={c.name: c.categories for c in columns if c.categories is not None},
        )
        for place, part in enumerate(skewed(skew)(rest, owners, rng), 1)
    )
    return Divided(made, apart, "rmse" if number_wanted else "accuracy", int(rng.integers(2**31)))


class _Unsealed(Channels):
    """Sums in the clear, whatever the scheme: the same to the bit as sealed ones, and all in one pair of hands here."""

    def channel(self, scheme: Encryption | None, number: int, owners: Iterable[str] = ()) -> Channel:  # noqa: ARG002
        """The channel for round ``number``: which scheme it is makes no bit differ."""
        return super().channel(None, number, owners)


def rehearsed(federation: Federation, strategy: Strategy, num_rounds: int, part: Divided) -> tuple[float, float]:
    """The score of the model on the rows held apart, and the noise multiplier (nan where the strategy tells none).

    The noise, and its shares, are those of the federation's scheme; only the sealing is left out.

    Raises:
        FedLabError: if the run is refused, or a round of it fails.
    """
    federation._channels = _Unsealed(federation.names, federation.ledger, "kernel")  # noqa: SLF001
    *_, last = rounds(federation, strategy, num_rounds=num_rounds, seed=part.seed)
    if last.failed is not None:
        raise last.failed.error
    scores = cast("TrainedModel", strategy.model_of(last.state)).evaluate(part.apart)
    return scores[part.metric], last.settings.get("noise_multiplier", np.nan)
