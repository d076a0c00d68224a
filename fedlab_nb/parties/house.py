"""The settings of a federation that every strategy lives under: what they are, how they change, whom a round calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel import for_range
from fedlab_nb.channel.opening import Encryption, Place
from fedlab_nb.crypto import CKKS, SecAgg
from fedlab_nb.crypto.schemes.clear import Clear
from fedlab_nb.crypto.schemes.plan import Plan
from fedlab_nb.errors import EncryptionError, SettingError
from fedlab_nb.privacy import Budget
from fedlab_nb.protect import AdaptiveClip, OwnerLevelDP, RowLevelDP, with_share
from fedlab_nb.records import PrivacyEvent, Update
from fedlab_nb.records.snapshot import Hiding

# Room for noise above the bound, in standard deviations: beyond it once in 10^32 numbers.
NOISE_TAIL = 12.0

Floats = NDArray[np.float64]


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
    min_owners: int | None = None

    @property
    def hiding(self) -> Hiding:
        """What hides single updates, by who can open their sums."""
        if self.encrypt is None:
            return "none"
        return "masks" if isinstance(self.encrypt, SecAgg) else self.encrypt.keys

    def noise_shares(self, present: int, absent: int = 0) -> int:
        """How many owners' shares of noise must suffice for a sum over those ``present``.

        In the clear each owner's own. Where a sum hides them, all but the ``colluding`` ones: owners can subtract what
        they know. Under masks nobody knows who will drop out after masking, so that as few as can take masks off must
        suffice. Where no more take part than may collude, each adds all of the noise, as it has only itself to trust.
        """
        if self.encrypt is None:
            return 1
        certain = self.encrypt.needed(present + absent) if isinstance(self.encrypt, SecAgg) else present
        return max(certain - (self.protect.colluding if self.protect else 1), 1)

    def noise_step(self, plan: Plan) -> float | None:
        """The grid step in whole numbers of which noise is drawn, where it is to be exact; else None."""
        return math.ldexp(1.0, -plan.grid_bits) if self.protect and self.protect.exact_noise else None

    @property
    def settings(self) -> dict[str, float]:
        """What may be changed between rounds, as it is now.

        Noise that nobody chose, and a clip norm that follows the updates, are the strategy's to say.
        """
        protect, noise = self.protect, {}
        if protect is not None and protect.noise_multiplier is not None:
            noise = {"noise_multiplier": protect.noise_multiplier}
        clip = {} if protect is None or isinstance(protect.clip, AdaptiveClip) else {"clip": protect.clip}
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
        if self.protect and isinstance(self.protect.clip, AdaptiveClip) and "clip" in inner:
            raise SettingError(
                f"The clip norm was to be changed to {inner['clip']!r}, and it follows the updates by itself.",
                "A clip norm set by hand would be moved away from at once, or the adaptive one would stop unnoticed.",
                "Change noise_multiplier or sample_rate, or make a Federation with fl.OwnerLevelDP(clip=1.0).",
            )
        protect = _with(self.protect, inner)
        rate, dropout = shared.get("sample_rate", self.sample_rate), shared.get("dropout", self.dropout)
        return replace(self, protect=protect, sample_rate=rate, dropout=dropout)


def _with(protect: RowLevelDP | OwnerLevelDP | None, changes: Mapping[str, float]) -> RowLevelDP | OwnerLevelDP | None:
    """The mechanism with other ``clip`` or ``noise_multiplier``."""
    return replace(protect, **changes) if protect else None  # type: ignore[arg-type]


class Terms(NamedTuple):
    """How a sum goes: its scheme, the grid and range of its numbers, and how many shares of noise must do."""

    scheme: Encryption | None
    plan: Plan
    shares: int


def terms_of_sum(
    house: House, owners: tuple[int, int, int], bound: float, noise_sd: float | Floats, step: float | None
) -> Terms:
    """How a sum will go.

    ``owners`` are how many there are, how many take part and how many were called and are absent.
    """
    everyone, present, absent = owners
    deviations = np.atleast_1d(noise_sd)
    most, least = float(np.max(deviations, initial=0.0)), np.min(deviations, where=deviations > 0.0, initial=np.inf)
    reach, scheme = bound + NOISE_TAIL * most, house.encrypt
    scheme = scheme and for_range(scheme, reach, everyone, step, present + absent)
    plan = _planned(scheme, reach, everyone)
    shares = house.noise_shares(present, absent)
    # Where numbers have noise of their own each, the least of it must not be rounded away.
    plan.check_noise(float(least / np.sqrt(shares)) if most else 0.0)
    return Terms(scheme, plan, shares)


@lru_cache(maxsize=64)
def _planned(scheme: Encryption | None, reach: float, owners: int) -> Plan:
    """The same in every round; in the clear the grid is that of CKKS, as long as it has one: equal bits either way."""
    if scheme is not None:
        return scheme.plan(bound=reach, owners=owners)
    try:
        return CKKS().plan(bound=reach, owners=owners)
    except EncryptionError:
        return Clear().plan(bound=reach, owners=owners)


def noisy(
    house: House,
    terms: Terms,
    update: Update,
    noise_sd: float | Floats,
    debits: Sequence[PrivacyEvent],
    path: tuple[int, int, str],
) -> Floats:
    """What an owner sends (d + 1,): its update with its share of the noise, and its weight.

    ``path`` is the round, the owner's number and the kind: a rehearsal's noise follows from it and from its seed.
    """
    value = update.value
    if not isinstance(noise_sd, float) or noise_sd:
        value = with_share(
            value,
            noise_sd,
            terms.shares,
            seed=house.noise_seed,
            path=(path[0], path[1], *path[2].encode()),
            step=house.noise_step(terms.plan),
            # The debit tells the sensitivity, noise_sd / multiplier, to which rounding adds.
            noise_multiplier=max((e.amount for e in debits if e.mechanism == "gaussian"), default=0.0),
        )
    sent = np.empty(value.size + 1)
    sent[:-1], sent[-1] = value, update.weight
    return sent


class Sent(Mapping[str, Floats]):
    """What each owner sends: made once where noise is drawn, else anew whenever it is asked for.

    All owners' at once would take as much memory again. ``path`` gives an owner's (see ``noisy``).
    """

    def __init__(
        self,
        house: House,
        terms: Terms,
        updates: Mapping[str, Update],
        noise_sd: float | Floats,
        debits: Mapping[str, Sequence[PrivacyEvent]],
        path: Callable[[str], tuple[int, int, str]],
    ) -> None:
        self._updates = updates

        def made(name: str) -> Floats:
            return noisy(house, terms, updates[name], noise_sd, debits[name], path(name))

        self._make: Callable[[str], Floats] = made
        drawn = not isinstance(noise_sd, float) or noise_sd != 0.0
        self._made = {name: made(name) for name in updates} if drawn else None

    @property
    def anew(self) -> bool:
        """True if each array that this gives is a new one, which nobody else has."""
        return self._made is None

    def __getitem__(self, name: str) -> Floats:
        return self._make(name) if self._made is None else self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._updates)

    def __len__(self) -> int:
        return len(self._updates)


def dropouts(house: House, names: Sequence[str], number: int, seed: int) -> tuple[str, ...]:
    """Who of ``names`` was chosen for round ``number`` and drops out of it: each by a coin of its own."""
    if not house.dropout:
        return ()
    coins = np.random.default_rng([seed, number, 3]).random(len(names))
    leaves = {name for name, coin in zip(names, coins, strict=True) if coin < house.dropout}
    return tuple(name for name in _chosen(house, names, number, seed) if name in leaves)


def cohort(house: House, names: Sequence[str], number: int, seed: int) -> tuple[str, ...]:
    """Who of ``names`` takes part in round ``number``: who was chosen and stays. Nobody is a legal answer.

    Fewer than ``min_owners`` stay out. With encryption a single owner stays out as well: the sum over one owner would
    be that owner's update. So do owners who are too few to take masks off.
    """
    dropped = frozenset(dropouts(house, names, number, seed))
    present = tuple(name for name in _chosen(house, names, number, seed) if name not in dropped)
    least = max(2 if house.encrypt else 1, house.min_owners or 1)
    if isinstance(house.encrypt, SecAgg):
        least = max(least, house.encrypt.needed(len(present) + len(dropped)))
    return present if len(present) >= least else ()


def _chosen(house: House, names: Sequence[str], number: int, seed: int) -> tuple[str, ...]:
    if house.sample_rate == 1.0:
        return tuple(names)
    coins = np.random.default_rng([seed, number, 1]).random(len(names))
    return tuple(name for name, coin in zip(names, coins, strict=True) if coin < house.sample_rate)
