"""Gradients of models whose scores add up over owners.

links.py (what a residual is made of), gradients.py (the protocol: how each owner gets its own gradient and nobody a
residual), steps.py (what an owner does with it), masks.py (sums of partial scores), model.py (the round).
"""

from fedlab_nb.vertical.descent.gradients import own_gradients
from fedlab_nb.vertical.descent.links import Exponential, Identity, Link, Sigmoid, Straight
from fedlab_nb.vertical.descent.masks import add_up_scores
from fedlab_nb.vertical.descent.steps import Descent, whitening

__all__ = [
    "Descent",
    "Exponential",
    "Identity",
    "Link",
    "Sigmoid",
    "Straight",
    "add_up_scores",
    "own_gradients",
    "whitening",
]
