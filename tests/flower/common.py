"""Parties that are separate but for the process: all that goes between them goes as bytes."""

import fedlab_nb as fl
from fedlab_nb.crypto import Identity
from fedlab_nb.crypto.seal import KEY_HOLDER
from fedlab_nb.flower.codec import Allowed
from fedlab_nb.flower.federation import RemoteFederation
from fedlab_nb.flower.orders.agreed import Agreed
from fedlab_nb.flower.orders.hooks import PartysReading, ServersWriting
from fedlab_nb.flower.orders.owner import Computed, OwnersSide
from fedlab_nb.flower.orders.site import Site
from fedlab_nb.flower.orders.sites import Sites
from fedlab_nb.flower.orders.trust import Trust
from fedlab_nb.parties.house import House

OWN = Allowed(modules=frozenset({"common"}))


class Apart:
    """Owners and a key holder, each at a site, reached by bytes alone; what crossed is kept."""

    def __init__(self, owners, house=None, vaults=None, allowed=OWN, identities=None):
        self.house, self.names = house or House(), tuple(owner.name for owner in owners)
        self.crossed, self.lost = [], set()
        self.sides = {
            o.name: OwnersSide(o, self.names, self.house, (vaults or {}).get(o.name), allowed) for o in owners
        }
        keys = getattr(self.house.encrypt, "keys", "")
        makers = self.names[:1] if keys == "owners" else (KEY_HOLDER,)
        self.identities = identities or {name: Identity() for name in (*self.names, KEY_HOLDER)}
        everyone = (*self.names, KEY_HOLDER)
        self.trusts = {
            n: Trust(n, self.identities[n], occasion="a test", parties=everyone, makers=makers)
            for n in (*self.names, KEY_HOLDER)
        }
        self.sites = {
            n: Site(Agreed(n, self.house, self.names), self.trusts[n], side.verbs, (Computed,))
            for n, side in self.sides.items()
        }
        self.sites[KEY_HOLDER] = Site(Agreed(KEY_HOLDER, self.house, self.names), self.trusts[KEY_HOLDER], {})
        self.readings = {name: PartysReading(self.sides.get(name), allowed) for name in self.sites}
        self.allowed = allowed

    def __call__(self, requests):
        replies = {}
        for name, data in requests.items():
            self.crossed.append((name, data))
            if name not in self.lost:
                replies[name] = self.sites[name].answer(data, self.readings[name])
        self.crossed += replies.items()
        return replies

    def federation(self, strategy=None):
        writing = ServersWriting(strategy, self.allowed)
        return RemoteFederation(
            self.names,
            self.house,
            Sites({name: trust.public for name, trust in self.trusts.items()}, self, writing),
            writing,
        )


def owners(n=3, first=0, **settings):
    return fl.split_rows(fl.data.breast_cancer().iloc[first : first + 240], owners=n, seed=0, **settings)


def played(federation, strategy, num_rounds=2, seed=0):
    """The rounds as a notebook plays them, or a run elsewhere: there ``told`` is the ledger that is passed on."""
    from fedlab_nb.flower.grid.playing import way_to_play
    from fedlab_nb.rounds import rounds

    play = rounds
    if isinstance(federation, RemoteFederation):
        play, federation.told, _ = way_to_play(federation, strategy)
    return list(play(federation, strategy, num_rounds=num_rounds, seed=seed))
