"""Networks that are cut between parties: the pieces, and what goes back over the cut."""

from fedlab_nb.learn.split.pieces import Piece, Step, descend, lead

__all__ = ["Piece", "Step", "descend", "lead"]
