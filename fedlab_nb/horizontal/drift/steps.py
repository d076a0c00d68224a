"""How far local steps reach: as many as there are, or more with momentum, or less with a pull back to the start."""

from __future__ import annotations


def reach_of(steps: int, momentum: float = 0.0, pull: float = 0.0) -> float:
    """|a|_1, the accumulated weight of the gradients in what ``steps`` local steps do, in units of the learning rate.

        change = -lr * sum over steps t of a_t * gradient_t,   |a|_1 = sum over t of |a_t|

    Without momentum and pull, each a_t is 1 and |a|_1 is ``steps``. ``pull`` is lr * mu for a proximal term mu; alone
    it makes a_t = (1 - pull)^(steps - 1 - t). Momentum alone makes a_t = (1 - momentum^(steps - t)) / (1 - momentum).

    Source: Wang et al. 2020, "Tackling the objective inconsistency problem in heterogeneous federated optimization",
    section 4.1.

    >>> reach_of(3), reach_of(3, momentum=0.5), reach_of(3, pull=0.5)
    (3.0, 4.25, 1.75)
    """
    if not momentum and not pull:
        return float(steps)
    # A gradient of 1 at the first step, and none after it: how far the model is from its start, step by step, is
    # what the last gradient, the one before it, and so on, weigh.
    away, speed, total = 0.0, 0.0, 0.0
    for step in range(steps):
        speed = momentum * speed + (step == 0) - pull * away
        away += speed
        total += abs(away)
    return total
