"""What transfer learning over few rows in common is made of: the numbers of each side, and sums of their products."""

from fedlab_nb.vertical.overlap.sides import Labelled, Side, labelled, side
from fedlab_nb.vertical.overlap.sums import Sums, sums_for

__all__ = ["Labelled", "Side", "Sums", "labelled", "side", "sums_for"]
