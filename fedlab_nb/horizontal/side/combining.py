"""How what owners send becomes one vector at the server: one sum, sums of groups, or a rule that reads each update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.aggregate import FLTrust, NormClipping, Rule, combine, total
from fedlab_nb.channel.opening import Tensors
from fedlab_nb.compress import RandomK, SignSGD
from fedlab_nb.data import encoding as enc
from fedlab_nb.errors import FedLabError, RoundError
from fedlab_nb.horizontal.owner_level import owners_step
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.horizontal.side.local import Side
from fedlab_nb.learn import Job
from fedlab_nb.parties import Federation
from fedlab_nb.protect import AdaptiveClip, OwnerLevelDP
from fedlab_nb.records import PrivacyEvent, State

if TYPE_CHECKING:
    from fedlab_nb.horizontal.averaging import Averaging

Floats = NDArray[np.float64]
Memory = dict[str, Floats]
# Where a state holds the aggregate of the round before, for rules that go on from it.
BEFORE = "the aggregate before"


@dataclass(frozen=True)
class Terms:
    """What holds for all that is sent in one round."""

    number: int
    cohort: Sequence[str]
    debits: Mapping[str, Sequence[PrivacyEvent]]
    ahead: Mapping[str, Sequence[PrivacyEvent]]
    absent: Sequence[str]
    asked: str
    noise: float

    @property
    def all(self) -> dict[str, Any]:
        """As ``Federation.gather`` takes them."""
        names = ("number", "cohort", "debits", "ahead", "absent", "asked")
        return {name: getattr(self, name) for name in names}


def combined(
    strategy: Averaging, federation: Federation, state: State, side: Side, terms: Terms, parts: Tensors
) -> tuple[Floats, Memory]:
    """The aggregate (d,) of what the owners of a round send, and what is to be remembered of it."""
    rule, protect = strategy.aggregate, federation.house.protect
    if strategy.compress is not None:
        return _compressed(strategy, federation, side, terms, parts)
    if isinstance(protect, OwnerLevelDP) and rule is None:
        return owners_step(state, federation, protect, terms.noise, side, terms.all, parts)
    if rule is None:
        return federation.gather("update", side, **terms.all, bound=strategy.reach, tensors=parts).mean, {}
    if isinstance(rule, NormClipping) and rule.norm is not None:
        clipped = side.shaped(rule.clip)
        return federation.gather("update", clipped, **terms.all, bound=strategy.reach, tensors=parts).mean, {}
    found = _by_group if strategy.groups is not None else _one_by_one
    changes, weights = found(strategy, federation, side, terms, parts)
    root = _root_change(strategy, rule, side, state, terms.number) if isinstance(rule, FLTrust) else None
    aggregate = _ruled(rule, changes, weights, state.memory.get(BEFORE), root)
    return aggregate, {BEFORE: aggregate}


def _ruled(rule: Rule, changes: Floats, weights: Floats, before: Floats | None, root: Floats | None) -> Floats:
    """What the rule gives; what is no aggregate of these changes is refused, and so is a rule that fails."""
    try:
        aggregate = combine(rule, changes, weights, before=before, root=root)
        found, failure = np.shape(aggregate), None
    except FedLabError:
        raise
    except Exception as error:  # noqa: BLE001 - a rule of a user's own may fail in any way
        aggregate, found, failure = changes[0], (), error
    if failure is not None or not isinstance(aggregate, np.ndarray) or found != changes.shape[1:]:
        what = f"gave an array of shape {found}" if failure is None else f"failed: {type(failure).__name__}: {failure}"
        raise RoundError(
            "server",
            "update",
            f"The rule {rule!r} {what}.",
            f"From changes of shape {changes.shape} a rule makes one change, of shape {changes.shape[1:]}.",
            "Let fl.checks.check_aggregator(rule) say in words what is wrong with it.",
        ) from failure
    return aggregate


def _one_by_one(
    strategy: Averaging, federation: Federation, side: Side, terms: Terms, parts: Tensors
) -> tuple[Floats, Floats]:
    """Each owner's update (n, d), readable for the server, and their weights (n,)."""
    reach = _reach(strategy, federation, terms)
    updates = federation.collect("update", side, **terms.all, **reach, tensors=parts).values()
    return np.array([update.mean for update in updates]), np.array([update.weight for update in updates])


def _by_group(
    strategy: Averaging, federation: Federation, side: Side, terms: Terms, parts: Tensors
) -> tuple[Floats, Floats]:
    """The mean update of each of several groups of owners (g, d), of which only sums are opened; and their weights.

    Who is in which group is drawn anew in every round: owners that cheat then spoil other groups each time.
    """
    order = np.random.default_rng([side.seed, terms.number, 5]).permutation(len(terms.cohort))
    groups = [[terms.cohort[i] for i in part] for part in np.array_split(order, strategy.groups or 1)]
    reach, sums = _reach(strategy, federation, terms), []
    for i, group in enumerate(groups, 1):
        summed = federation.gather(
            f"group {i} update",
            side,
            number=terms.number,
            cohort=group,
            debits={name: terms.debits[name] for name in group},
            ahead=terms.ahead if i == 1 else {},
            **reach,
            tensors=parts,
        )
        sums.append(summed)
    return np.array([update.mean for update in sums]), np.array([update.weight for update in sums])


def _reach(strategy: Averaging, federation: Federation, terms: Terms) -> dict[str, Any]:
    """How large an owner's numbers may be, what they are clipped to, and the noise on them, as ``gather`` takes it."""
    protect = federation.house.protect
    if not isinstance(protect, OwnerLevelDP) or isinstance(protect.clip, AdaptiveClip):
        return {"bound": strategy.reach, "clip": None, "noise_sd": 0.0}
    return {"bound": 1.0 + protect.clip, "clip": protect.clip, "noise_sd": terms.noise * protect.clip}


def _compressed(
    strategy: Averaging, federation: Federation, side: Side, terms: Terms, parts: Tensors
) -> tuple[Floats, Memory]:
    """The mean of compressed updates. In the clear the very bytes cross; encrypted, the numbers that they stand for."""
    compress, protect = strategy.compress, federation.house.protect
    assert compress is not None
    packed = side.compressed(compress)
    size = sum(size for _, size in parts)
    hidden = federation.house.encrypt is not None or protect is not None
    if isinstance(compress, RandomK) and hidden:
        places = compress.coordinates(side.seed, terms.number, size)
        chosen, names = packed.shaped(lambda value: value[places]), (("drawn numbers", len(places)),)
        if isinstance(protect, OwnerLevelDP):
            mean, memory = owners_step(side.state, federation, protect, terms.noise, chosen, terms.all, names)
        else:
            mean = federation.gather("update", chosen, **terms.all, bound=strategy.reach, tensors=names).mean
            memory = {}
        whole = np.zeros(size)
        whole[places] = mean
        return whole, memory
    if hidden:
        mean = federation.gather("update", packed, **terms.all, bound=strategy.reach, tensors=parts).mean
    else:
        updates = federation.collect(
            "update", packed, **terms.all, bound=strategy.reach, tensors=parts, payload=packed.payload
        )
        mean = total(list(updates.values())).mean
    return (compress.majority(mean) if isinstance(compress, SignSGD) else mean), {}


def _root_change(strategy: Averaging, rule: FLTrust, side: Side, state: State, number: int) -> Floats:
    """What the server learns from its own root rows: the change (d,) that training on them makes."""
    setup: Setup = state.context  # type: ignore[assignment]
    target = rule.frame[setup.encoding.target.name]
    keep = enc.usable(target, setup.encoding)
    X, y = enc.encode(rule.frame.loc[keep], setup.encoding), enc.encode_target(target[keep], setup.encoding)
    start = state.weights["server"].astype(np.float32).astype(np.float64)
    job = Job((setup.seed, number, len(setup.owners)), X, y, start)
    (end,) = side.learner.train([job], strategy.rule(side.lr), epochs=side.epochs, batch_size=side.batch_size)
    return end.weights - start
