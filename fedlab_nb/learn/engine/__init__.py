"""Local training of many owners: jobs and rules, and the executors that give equal results for them."""

from fedlab_nb.learn.engine.choose import Chosen, Engine
from fedlab_nb.learn.engine.job import SGD, Batch, Job, Rule, Trained
from fedlab_nb.learn.engine.sequential import Sequential
from fedlab_nb.learn.engine.stacked import Stacked

__all__ = ["SGD", "Batch", "Chosen", "Engine", "Job", "Rule", "Sequential", "Stacked", "Trained"]
