"""Large simulations over many processes: the owners of a round at work in several of them, to the same bits."""

from fedlab_nb.pool.federation import PooledFederation
from fedlab_nb.pool.pool import Pool

__all__ = ["Pool", "PooledFederation"]
