"""Values of a run as bytes: data crosses between processes, code is named and found where it is installed."""

from fedlab_nb.flower.codec.allowed import (
    ANSWERS,
    ASKING,
    ASKING_HELPERS,
    HELPERS,
    TRAINING,
    TRAINING_HELPERS,
    WORK,
    Allowed,
    called,
)
from fedlab_nb.flower.codec.names import same_code
from fedlab_nb.flower.codec.values import Hooks, decode, decode_work, encode

__all__ = [
    "ANSWERS",
    "ASKING",
    "ASKING_HELPERS",
    "HELPERS",
    "TRAINING",
    "TRAINING_HELPERS",
    "WORK",
    "Allowed",
    "Hooks",
    "called",
    "decode",
    "decode_work",
    "encode",
    "same_code",
]
