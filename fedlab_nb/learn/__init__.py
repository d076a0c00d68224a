"""Models, local training and metrics: the only room that knows torch."""

import os

import numpy as np

# Intel's library for matrix products otherwise picks its way by where numbers happen to lie in memory, so that an
# owner's last bits could depend on who is trained beside it. It reads this at its first product; it costs no time.
os.environ.setdefault("MKL_CBWR", "AUTO")

from fedlab_nb.learn.engine import SGD, Batch, Job, Rule, Trained
from fedlab_nb.learn.local import Executor, Learner
from fedlab_nb.learn.metrics import Scorecard, area_under_curve, probabilities
from fedlab_nb.learn.models import Architecture, build, initial_weights
from fedlab_nb.learn.trained import TrainedModel

# Linux gives memory back to the system as soon as some is free, and takes it anew at the next step, page by page: up to
# two fifths of a round's time. Once a block of this size was freed it keeps twice as much. The block itself is never
# touched, so that it takes no memory.
np.empty(32_000_000, dtype=np.uint8)

__all__ = [
    "SGD",
    "Architecture",
    "Batch",
    "Executor",
    "Job",
    "Learner",
    "Rule",
    "Scorecard",
    "Trained",
    "TrainedModel",
    "area_under_curve",
    "build",
    "initial_weights",
    "probabilities",
]
