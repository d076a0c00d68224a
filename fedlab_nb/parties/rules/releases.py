"""What is refused when an owner is about to release numbers: wild ones, and debits that do not fit them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.crypto.schemes.plan import first_at_fault
from fedlab_nb.errors import RoundError, RuleError
from fedlab_nb.parties.house import House
from fedlab_nb.records import PrivacyEvent, Update


def check_numbers(
    name: str, kind: str, vector: NDArray[np.float64], bound: float, tensors: Sequence[tuple[str, int]] = ()
) -> None:
    """Refuse numbers of an owner that no sum can take in; ``tensors`` are the names and sizes of the vector's parts.

    Raises:
        RoundError: naming the owner and the first tensor, for a number that is not finite or beyond ``bound``.
    """
    wild, beyond = ~np.isfinite(vector), np.abs(vector) > bound
    if wild.any():
        bad = int(np.count_nonzero(wild))
        raise RoundError(
            name,
            kind,
            f"The {kind} of {name!r} has {bad} of {vector.size} numbers that are not finite (NaN or infinite)"
            f"{first_at_fault(wild, tensors)}.",
            "One such number would turn the sum over all owners, and so the model, into NaN.",
            "Lower the learning rate (the training diverged), or look for extreme values in that owner's columns.",
        )
    if beyond.any():
        raise RoundError(
            name,
            kind,
            f"The {kind} of {name!r} has a number beyond the agreed bound of {bound:g}"
            f"{first_at_fault(beyond, tensors)}.",
            "Sums beyond the planned range would wrap around silently when they are encrypted.",
            "Lower the learning rate or the number of local epochs, or clip with fl.RowLevelDP(clip=1.0).",
        )


def check_debits(
    kind: str, owners: Iterable[str], debits: Mapping[str, Sequence[PrivacyEvent]]
) -> Mapping[str, Sequence[PrivacyEvent]]:
    """The debits, an unprotected release where none is stated; refuse to ask where nobody said what it costs.

    Raises:
        RuleError: naming the first owner for whom nothing was stated.
    """
    asked = set(owners)
    silent = next((name for name in sorted(asked) if name not in debits), None)
    if silent is not None:
        raise RuleError(
            f"{kind!r} was asked of {silent!r}, and its cost was not stated.",
            "Every release that depends on rows is counted, or the budget would look better than it is.",
            "Pass debits={name: [PrivacyEvent(...)]} for every owner asked; () counts as a release without protection.",
        )
    bare = PrivacyEvent(0, kind, "all", "row", "none")
    return {name: events or (bare,) if name in asked else events for name, events in debits.items()}


def check_noise(
    kind: str,
    house: House,
    debits: Mapping[str, Sequence[PrivacyEvent]],
    noise_sd: float | NDArray[np.float64],
    updates: Mapping[str, Update],
) -> None:
    """Refuse a sum that is debited as noisy and would carry numbers without noise.

    Raises:
        RuleError: naming the kind, and the owner whose weight would leave without noise.
    """
    stated = {name for name, events in debits.items() if any(event.mechanism == "gaussian" for event in events)}
    if house.protect is None or not stated:
        return
    if float(np.min(np.asarray(noise_sd, dtype=np.float64), initial=np.inf)) <= 0.0:
        raise RuleError(
            f"{kind!r} was debited as released with Gaussian noise, and noise_sd leaves numbers without any.",
            "The account would show an epsilon for numbers that leave exactly as they are.",
            "Pass noise_sd = noise multiplier times sensitivity, or state the release as mechanism 'none'.",
        )
    telling = next((name for name in stated & set(updates) if updates[name].weight != 1.0), None)
    if telling is not None:
        raise RuleError(
            f"The {kind} of {telling!r} comes with a weight other than 1, and noise is to hide its rows.",
            "Weights travel without noise, so that the weight would tell how many rows there are.",
            "Give weight 1.0 and put what is to be weighed into the numbers, as fl.FedAvg does.",
        )
