"""Models and strategies of a user's own: found in what is exported, and put into a module that travels with it."""

from fedlab_nb.flower.project.own.cells import source_of
from fedlab_nb.flower.project.own.definitions import definitions, rebound

__all__ = ["definitions", "rebound", "source_of"]
