"""Small tables to learn with, without a network: real ones, invented ones with a known truth, and invented twins."""

from fedlab_nb.data.samples.credit import credit
from fedlab_nb.data.samples.health import clinics, hospitals
from fedlab_nb.data.samples.invented import invented
from fedlab_nb.data.samples.messages import messages
from fedlab_nb.data.samples.real import breast_cancer, digits, iris, wine
from fedlab_nb.data.samples.traffic import traffic

__all__ = [
    "breast_cancer",
    "clinics",
    "credit",
    "digits",
    "hospitals",
    "invented",
    "iris",
    "messages",
    "traffic",
    "wine",
]
