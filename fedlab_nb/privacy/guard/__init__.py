"""What is let through besides the meters' count: plans frozen beforehand, their noise, and the words of a refusal."""

from fedlab_nb.privacy.guard.frozen import FrozenPlan, schedule_epsilon
from fedlab_nb.privacy.guard.noise import least_noise, most_rounds

__all__ = ["FrozenPlan", "least_noise", "most_rounds", "schedule_epsilon"]
