"""A round that hides whole owners: clipped changes, a fixed denominator, and a clip norm that may follow the changes.

Source: McMahan et al. 2018, "Learning differentially private recurrent language models", Algorithm 1; Andrew et al.
2021, "Differentially private learning with adaptive clipping", Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.channel.opening import Tensors
from fedlab_nb.horizontal.side.local import Side
from fedlab_nb.parties import Federation
from fedlab_nb.privacy import NoisePlan
from fedlab_nb.protect import AdaptiveClip, OwnerLevelDP, RowLevelDP
from fedlab_nb.records import State

Floats = NDArray[np.float64]


def owners_step(
    state: State,
    federation: Federation,
    protect: OwnerLevelDP,
    noise: float,
    side: Side,
    terms: Mapping[str, Any],
    tensors: Tensors,
) -> tuple[Floats, dict[str, Floats]]:
    """The mean (d,) of what owners send, and what is to be remembered: the sum over the owners that were expected.

    ``side`` computes beside the rows what an owner sends; ``terms`` are those of the round, as ``Federation.gather``
    takes them, and ``noise`` is its noise multiplier.
    """
    owners, clip, adaptive = expected_owners(federation), clip_in_force(protect, state), protect.clip
    if not isinstance(adaptive, AdaptiveClip):
        total = federation.gather(
            "update", side, **terms, bound=1.0 + clip, noise_sd=noise * clip, clip=clip, tensors=tensors
        )
        return total.value / owners, {}
    total = federation.gather(
        "update",
        side.shaped(lambda value: adaptive.contribution(value, clip)),
        **terms,
        bound=1.0 + clip,
        noise_sd=adaptive.noise_sd(clip, noise, owners, sum(size for _, size in tensors)),
        tensors=(*tensors, ("within the clip", 1)),
    )
    return total.value[:-1] / owners, {"clip": np.array([adaptive.moved(clip, float(total.value[-1]), owners)])}


def expected_owners(federation: Federation) -> float:
    """How many owners are to be expected in a round: public, and the same whoever takes part."""
    return federation.house.sample_rate * len(federation.names)


def clip_in_force(protect: RowLevelDP | OwnerLevelDP, state: State | None) -> float:
    """The clip norm of the next round: one that follows the updates is part of the state."""
    if not isinstance(protect.clip, AdaptiveClip):
        return protect.clip
    return float(state.memory["clip"][0]) if state is not None and "clip" in state.memory else protect.clip.initial


def clip_setting(protect: RowLevelDP | OwnerLevelDP | None, state: State | None) -> Mapping[str, float]:
    """A clip norm that follows the updates, as a setting that nobody can change; nothing where it is fixed."""
    adaptive = protect is not None and isinstance(protect.clip, AdaptiveClip)
    return {"adaptive_clip": clip_in_force(protect, state)} if adaptive and protect else {}


def check_adaptive(federation: Federation, plan: NoisePlan | None) -> None:
    """Refuse an adaptive clip norm whose own count would cost more than a round may, with the noise there will be.

    Raises:
        RuleError: saying how much noise its count needs.
    """
    protect = federation.house.protect
    if protect is not None and plan is not None and isinstance(protect.clip, AdaptiveClip):
        protect.clip.update_multiplier(protect.noise_multiplier or plan.training, expected_owners(federation))
