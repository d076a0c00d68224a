"""Sample data, loaders, ways to divide a table, and the encoding of any table into numbers."""

from fedlab_nb.data.loaders import femnist, heart_disease, load, mnist, openml
from fedlab_nb.data.samples import breast_cancer, clinics, credit, digits, hospitals, iris, messages, traffic, wine

__all__ = [
    "breast_cancer",
    "clinics",
    "credit",
    "digits",
    "femnist",
    "heart_disease",
    "hospitals",
    "iris",
    "load",
    "messages",
    "mnist",
    "openml",
    "traffic",
    "wine",
]
