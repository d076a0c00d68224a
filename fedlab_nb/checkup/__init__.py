"""The doctor: this front end, these packages, this machine, and what a planned run will cost on it."""

from fedlab_nb.checkup.visit import Checkup, doctor

__all__ = ["Checkup", "doctor"]
