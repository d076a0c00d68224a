"""Models, local training and metrics: the only room that knows torch."""

from fedlab_nb.learn.local import Learner
from fedlab_nb.learn.metrics import Scorecard, area_under_curve, probabilities
from fedlab_nb.learn.models import Architecture, build, initial_weights
from fedlab_nb.learn.trained import TrainedModel

__all__ = [
    "Architecture",
    "Learner",
    "Scorecard",
    "TrainedModel",
    "area_under_curve",
    "build",
    "initial_weights",
    "probabilities",
]
