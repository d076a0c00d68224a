"""What an owner sends instead of its whole change: fewer numbers, or fewer bits for each."""

from fedlab_nb.compress.compressor import Compressor
from fedlab_nb.compress.packed import Packed
from fedlab_nb.compress.qsgd import QSGD, Quantised
from fedlab_nb.compress.randomk import Drawn, RandomK
from fedlab_nb.compress.signs import Signs, SignSGD
from fedlab_nb.compress.topk import Sparse, TopK

__all__ = ["QSGD", "Compressor", "Drawn", "Packed", "Quantised", "RandomK", "SignSGD", "Signs", "Sparse", "TopK"]
