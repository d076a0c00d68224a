"""Whether a pool would make a round faster: from what a rehearsal in one process took."""

from __future__ import annotations

from fedlab_nb.parties import Federation
from fedlab_nb.pool.federation import PooledFederation

# What handing out and taking in adds to a round, at least, and for each owner of it: seconds, measured with 1,000 and
# 2,000 owners on two cores. Workers train a little slower than one process: each has fewer owners to train together.
_TRIPS, _AN_OWNER, _SLOWER = 0.03, 2e-5, 1.1
# From so many owners on somebody may think of a pool, and wants to know also where it does not help.
_MANY = 1000
# A pool has to be so much faster, and save so many seconds a round, to be worth its beginning.
_LESS, _SAVED = 0.75, 0.3


def pooled_seconds(seconds: float, shared: float, owners: float, workers: int) -> float:
    """What a round would take over ``workers`` that takes ``seconds`` in one process, of which they share ``shared``.

    >>> round(pooled_seconds(seconds=10.0, shared=9.0, owners=1000, workers=4), 2)
    3.53
    """
    return seconds - shared + _TRIPS + _AN_OWNER * owners + shared * _SLOWER / workers


def worth(federation: Federation, seconds: float, shared: float, cores: int) -> str:
    """One sentence on whether to use a pool for such rounds; "" where nobody would think of one."""
    pooled = isinstance(federation, PooledFederation)
    workers = federation.workers if isinstance(federation, PooledFederation) else cores
    owners = len(federation.names) * federation.house.sample_rate
    workers = max(min(workers, len(federation.names)), 1)
    over = pooled_seconds(seconds, shared, owners, workers)
    several = f"{workers} worker{'s' * (workers != 1)}"
    if over < _LESS * seconds and seconds - over > _SAVED:
        how = "" if pooled else f": Pool(workers={workers}) of fedlab_nb.pool"
        return f"Over {several} a round would take about {over:.2g} s in place of {seconds:.2g} s{how}."
    if pooled or len(federation.names) >= _MANY:
        return (
            f"One process is faster, or about as fast: of {seconds:.2g} s a round {several} could share "
            f"{shared:.2g} s, and handing work out takes time as well."
        )
    return ""
