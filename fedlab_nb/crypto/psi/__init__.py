"""Which ids several owners have in common, without showing the others: see blind.py for one owner's part of it."""

from fedlab_nb.crypto.psi.blind import POINT_BYTES, Blind, joined, points_in

__all__ = ["POINT_BYTES", "Blind", "joined", "points_in"]
