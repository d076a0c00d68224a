"""The settings of a federation that every strategy lives under: what they are, how they change, whom a round calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedlab_nb.channel.opening import Encryption, Place
from fedlab_nb.crypto import SecAgg
from fedlab_nb.errors import SettingError
from fedlab_nb.privacy import Budget
from fedlab_nb.protect import OwnerLevelDP, RowLevelDP
from fedlab_nb.records.snapshot import Hiding


@dataclass(frozen=True)
class House:
    """The settings of a federation that every strategy lives under."""

    encrypt: Encryption | None = None
    protect: RowLevelDP | OwnerLevelDP | None = None
    budget: Budget | None = None
    sample_rate: float = 1.0
    noise_seed: int | None = None
    dropout: float = 0.0
    server: Place = "kernel"

    @property
    def hiding(self) -> Hiding:
        """What hides single updates, by who can open their sums."""
        if self.encrypt is None:
            return "none"
        return "masks" if isinstance(self.encrypt, SecAgg) else self.encrypt.keys

    def noise_shares(self, present: int, absent: int = 0) -> int:
        """How many owners' shares of noise must suffice for a sum over those ``present``.

        In the clear each owner's own. Where a sum hides them, all but one: an owner can subtract its own. Under masks
        nobody knows who will drop out after masking, so that as few as can take masks off must suffice.
        """
        if self.encrypt is None:
            return 1
        certain = self.encrypt.needed(present + absent) if isinstance(self.encrypt, SecAgg) else present
        return max(certain - 1, 1)

    @property
    def settings(self) -> dict[str, float]:
        """What may be changed between rounds, as it is now; noise that nobody chose is the strategy's to say."""
        protect, noise = self.protect, {}
        if protect is not None and protect.noise_multiplier is not None:
            noise = {"noise_multiplier": protect.noise_multiplier}
        clip = {} if protect is None else {"clip": protect.clip}
        return {"sample_rate": self.sample_rate, **clip, **noise, "dropout": self.dropout}

    def adjusted(self, changes: Mapping[str, float]) -> House:
        """This house with other ``sample_rate``, ``dropout``, ``clip`` or ``noise_multiplier``.

        Raises:
            SettingError: a setting that there is not, or a value that the mechanism cannot take.
        """
        inner = {name: value for name, value in changes.items() if name in ("clip", "noise_multiplier")}
        shared = {name: value for name, value in changes.items() if name in ("sample_rate", "dropout")}
        unknown = [name for name in changes if name not in {**shared, **inner}] or (list(inner) * (not self.protect))
        if unknown:
            raise SettingError(
                f"{unknown[0]!r} was to be changed, and this run has no such setting.",
                "What is not in force cannot be changed between two rounds.",
                "run.settings shows those that there are.",
            )
        protect = replace(self.protect, **inner) if self.protect else None
        rate, dropout = shared.get("sample_rate", self.sample_rate), shared.get("dropout", self.dropout)
        return replace(self, protect=protect, sample_rate=rate, dropout=dropout)


def dropouts(house: House, names: Sequence[str], number: int, seed: int) -> tuple[str, ...]:
    """Who of ``names`` was chosen for round ``number`` and drops out of it: each by a coin of its own."""
    coins = np.random.default_rng([seed, number, 3]).random(len(names))
    leaves = {name for name, coin in zip(names, coins, strict=True) if coin < house.dropout}
    return tuple(name for name in _chosen(house, names, number, seed) if name in leaves)


def cohort(house: House, names: Sequence[str], number: int, seed: int) -> tuple[str, ...]:
    """Who of ``names`` takes part in round ``number``: who was chosen and stays. Nobody is a legal answer.

    With encryption a single owner stays out as well: the sum over one owner would be that owner's update. So do owners
    who are too few to take masks off.
    """
    dropped = dropouts(house, names, number, seed)
    present = tuple(name for name in _chosen(house, names, number, seed) if name not in dropped)
    least = 2 if house.encrypt else 1
    if isinstance(house.encrypt, SecAgg):
        least = max(least, house.encrypt.needed(len(present) + len(dropped)))
    return present if len(present) >= least else ()


def _chosen(house: House, names: Sequence[str], number: int, seed: int) -> tuple[str, ...]:
    coins = np.random.default_rng([seed, number, 1]).random(len(names))
    return tuple(name for name, coin in zip(names, coins, strict=True) if coin < house.sample_rate)
