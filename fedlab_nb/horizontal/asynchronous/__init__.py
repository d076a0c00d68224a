"""Strategies in which the server does not wait for the slowest owner."""

from fedlab_nb.horizontal.asynchronous.fedbuff import FedBuff

__all__ = ["FedBuff"]
