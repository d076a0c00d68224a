"""Owners who see different labels: drawn from a Dirichlet distribution, in shards, or a few labels each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.partitioners.rules import (
    FEWEST,
    Described,
    Partitioner,
    Parts,
    check_column,
    check_count,
    check_owners,
    fill_up,
    labels_of,
)
from fedlab_nb.data.partitioners.sizes import IID
from fedlab_nb.errors import SettingError
from fedlab_nb.settings import check_setting, is_real

if TYPE_CHECKING:
    import pandas as pd

# Beyond these ends the shares no longer change visibly, and drawing them is no longer exact.
SMALLEST_ALPHA, LARGEST_ALPHA = 1e-3, 1e6


@dataclass(frozen=True, repr=False)
class Dirichlet(Described):
    """Each label's rows divided by shares from a Dirichlet distribution: the smaller alpha, the fewer owners share one.

    For each label k, shares (owners,) are drawn from Dir(alpha, ..., alpha), and the label's rows are cut by them.
    Owners then differ in their labels and in size; ``alpha`` 100 is close to even, 1 is uneven, 0.1 very uneven.

    Args:
        alpha: the concentration, from 0.001 to 1,000,000.
        by: the column of labels, the target if left out. Where it has more than 20 different numbers, those in the
            same tenth of the distribution count as one label.
        min_rows: owners with fewer rows are filled up, one row at a time, from whoever has most. (Flower draws anew
            instead, which may never end.) With fewer than ``min_rows`` rows for each, everyone gets an even part.

    Raises:
        SettingError: for an ``alpha`` or ``min_rows`` out of range.

    Called ``DirichletPartitioner`` in Flower Datasets, there with ``self_balancing`` by default, here without.

    Source: Li et al. 2022, "Federated learning on non-IID data silos" (NIID-Bench), section IV-A, label distribution;
    Yurochkin et al. 2019, "Bayesian nonparametric federated learning of neural networks", section 4.
    """

    alpha: float
    by: str | None = None
    min_rows: int = FEWEST

    def __post_init__(self) -> None:
        check_setting(
            "Dirichlet",
            "alpha",
            self.alpha,
            fits=is_real(self.alpha, above=0.0, most=LARGEST_ALPHA) and self.alpha >= SMALLEST_ALPHA,
            wanted=f"a number from {SMALLEST_ALPHA:g} to {LARGEST_ALPHA:,.0f}",
            why="It says how evenly each label is spread: near 0 one owner has all of it, and 100 is close to even. "
            "Beyond both ends the shares no longer change; fl.partition.Shards(1) and fl.partition.IID() are there.",
            example="0.3",
        )
        if self.by is not None:
            check_column(self, self.by)
        check_count(self, "min_rows", self.min_rows, 10)

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:
        """For each of ``owners`` the sorted positions of its rows."""
        owners = check_owners(owners, len(frame))
        codes = labels_of(frame, self.by).codes
        order = rng.permutation(codes.size)
        parts: list[list[NDArray[np.intp]]] = [[] for _ in range(owners)]
        for code in _as_they_appear(codes):
            rows = order[codes[order] == code]
            shares = rng.dirichlet(np.full(owners, float(self.alpha)))
            cuts = (np.cumsum(shares)[:-1] * rows.size).round().astype(int)
            for part, piece in zip(parts, np.split(rows, cuts), strict=True):
                part.append(piece)
        # Mixed, so that what fill_up takes from the end of the largest part is of any label.
        return fill_up([rng.permutation(np.concatenate([order[:0], *part])) for part in parts], self.min_rows)


def _as_they_appear(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each label once, the first row's first: a label that is only renamed must not change who gets what."""
    found, first = np.unique(codes, return_index=True)
    return found[np.argsort(first)]


@dataclass(frozen=True, repr=False)
class Shards(Described):
    """Rows sorted by label and cut into equal shards, a few for each owner: nearly all owners see but a few labels.

    Args:
        per_owner: how many shards each owner is dealt at random; 1 gives most owners a single label.
        by: the column to sort by, the target if left out.

    Raises:
        SettingError: if ``per_owner`` is no whole number from 1 up, or there are fewer rows than shards.

    Called ``ShardPartitioner`` in Flower Datasets; here shards differ by one row at most and no row is left out.

    Source: McMahan et al. 2017, "Communication-efficient learning of deep networks from decentralized data",
    section 3: MNIST sorted by digit, 200 shards of 300 rows, two for each of 100 clients.
    """

    per_owner: int = 2
    by: str | None = None

    def __post_init__(self) -> None:
        check_count(self, "per_owner", self.per_owner, 2)
        if self.by is not None:
            check_column(self, self.by)

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:
        """For each of ``owners`` the sorted positions of its rows."""
        owners = check_owners(owners, len(frame))
        codes, count = labels_of(frame, self.by).codes, owners * self.per_owner
        if count > codes.size:
            raise SettingError(
                f"{codes.size} rows were to be cut into {count} shards, {self.per_owner} for each of {owners} owners.",
                "A shard without a row gives nobody anything.",
                "Choose fewer owners or fewer shards per owner.",
            )
        order = rng.permutation(codes.size)
        shards = np.array_split(order[np.argsort(codes[order], kind="stable")], count)
        dealt = rng.permutation(count).reshape(owners, self.per_owner)
        return [np.sort(np.concatenate([shards[number] for number in hand])) for hand in dealt]


@dataclass(frozen=True, repr=False)
class Pathological(Described):
    """A few labels for each owner, exactly as many as asked: its holders share a label's rows evenly.

    Where there are as many owners as labels, owner i holds label i (counted around); the others are drawn from those
    that fewest owners hold so far, so that no label is left without an owner. Called ``PathologicalPartitioner`` in
    Flower Datasets, which leaves out the rows of labels that nobody drew.

    Args:
        classes_per_owner: how many different labels each owner sees.
        by: the column of labels, the target if left out.

    Raises:
        SettingError: if labels and owners do not fit: fewer labels than one owner is to see, more labels than all
            owners can hold, or a label with fewer rows than owners who hold it.

    Source: Li et al. 2022, "Federated learning on non-IID data silos" (NIID-Bench), section IV-A, quantity-based
    label imbalance (#C = k).
    """

    classes_per_owner: int = 2
    by: str | None = None

    def __post_init__(self) -> None:
        check_count(self, "classes_per_owner", self.classes_per_owner, 2)
        if self.by is not None:
            check_column(self, self.by)

    def __call__(self, frame: pd.DataFrame, owners: int, rng: np.random.Generator) -> Parts:
        """For each of ``owners`` the sorted positions of its rows."""
        owners = check_owners(owners, len(frame))
        codes = labels_of(frame, self.by).codes
        counts = np.bincount(codes)
        held = self._held(owners, counts.size, rng)
        holders = held.sum(axis=0)
        if (counts < holders).any():
            short = int(np.argmax(holders - counts))
            raise SettingError(
                f"A label with {counts[short]} rows was to be shared by {holders[short]} owners.",
                "Each owner sees exactly the labels it was given, so it needs at least one row of each.",
                "Choose fewer owners or fewer labels per owner, or merge rare labels.",
            )
        parts: list[list[NDArray[np.intp]]] = [[] for _ in range(owners)]
        for code in range(counts.size):
            pieces = np.array_split(rng.permutation(np.flatnonzero(codes == code)), holders[code])
            for owner, piece in zip(np.flatnonzero(held[:, code]), pieces, strict=True):
                parts[owner].append(piece)
        return [np.sort(np.concatenate(part)) for part in parts]

    def _held(self, owners: int, labels: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which owner holds which label (owners, labels)."""
        if not self.classes_per_owner <= labels <= owners * self.classes_per_owner:
            raise SettingError(
                f"The column has {labels} labels, and each of {owners} owners was to see exactly "
                f"{self.classes_per_owner} of them.",
                "An owner cannot see more labels than there are, and every label needs an owner to hold its rows.",
                f"Choose from {-(-labels // owners)} to {labels} labels per owner.",
            )
        held = np.zeros((owners, labels), dtype=bool)
        for owner in range(owners):
            for pick in range(self.classes_per_owner):
                # Ties are broken at random; what the owner holds already comes last.
                rank = np.lexsort((rng.random(labels), held.sum(axis=0), held[owner]))
                held[owner, owner % labels if pick == 0 and owners >= labels else rank[0]] = True
        return held


def skewed(skew: float) -> Partitioner:
    """The partitioner that ``skew`` from 0 to 1 is short for.

    0 is IID(), 1 is Shards(per_owner=1), and between them Dirichlet((1 - skew) / skew): 0.5 is Dirichlet(1).

    Raises:
        SettingError: if ``skew`` is outside [0, 1].

    >>> skewed(0.5)
    Dirichlet(alpha=1.0)
    """
    if not 0.0 <= skew <= 1.0:
        raise SettingError(
            f"skew={skew!r} was asked for.",
            "It says how unequally labels are spread: 0 is evenly at random, 1 is sorted by label.",
            "Choose a number from 0 to 1, such as 0.5.",
        )
    if skew == 0.0:
        return IID()
    if skew == 1.0:
        return Shards(per_owner=1)
    return Dirichlet(min(max((1 - skew) / skew, SMALLEST_ALPHA), LARGEST_ALPHA))
