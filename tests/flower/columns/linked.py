"""Two owners without a common id, as tests have them link their rows with each party at a site of its own."""

from functools import cache

import numpy as np

import fedlab_nb as fl
from fedlab_nb.parties.columns.road import alignment_of
from tests.flower.columns.apart import ColumnsApart
from tests.vertical.linked import FIELDS, frames

BANK, SHOP = "bank", "shop"
STRATEGY = fl.vertical.LogisticRegression(BANK, key_holder=False)


@cache
def tables(rows=200, common=100, share=0.2):
    """The bank's table with labels, and the shop's; both know the fields of ``FIELDS``, some mistyped at the shop."""
    first, second = frames(rows, common, share)
    rng = np.random.default_rng(4)
    hidden = dict(enumerate(rng.normal(size=2 * rows)))
    ill = first["who"].map(hidden) > 0
    first = first.assign(x=rng.normal(size=rows), ill=np.where(ill, "yes", "no"))
    return first, second.assign(y=second["number"].map(hidden) + 0.3 * rng.normal(size=rows))


def parts(rows=200, common=100, share=0.2, **settings):
    """The two owners."""
    first, second = tables(rows, common, share)
    return [
        fl.DataOwner(BANK, first, id=FIELDS, target="ill", **settings),
        fl.DataOwner(SHOP, second, id=["customer", "birthday", "town"], **settings),
    ]


class Kept:
    """What each party of a run apart knows of its linked rows once it has linked them."""

    def __init__(self, owners, strategy=STRATEGY, linkage=0.85, **settings):
        self.owners, self.seen = owners, {}
        self.apart = ColumnsApart(owners, strategy, linkage=linkage, **settings)
        for name, site in self.apart.sites.items():
            site._steps = self._noted(name, site._steps)
        self.federation, self.rounds = self.apart.played()

    def _noted(self, name, steps):
        def noted(federation):
            for failed in steps(federation):
                self.seen[name] = alignment_of(federation)
                yield failed

        return noted
