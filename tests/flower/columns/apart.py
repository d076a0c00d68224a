"""A vertical run whose parties are apart: each goes through the protocol in a thread of its own; only bytes cross."""

import tempfile
from pathlib import Path

import fedlab_nb as fl
from fedlab_nb.crypto import Identity
from fedlab_nb.flower.agreement import Agreement
from fedlab_nb.flower.columns.federation import ColumnsFederation
from fedlab_nb.flower.columns.hub import Hub
from fedlab_nb.flower.columns.site import ColumnsSite
from fedlab_nb.flower.columns.steps import part_keeper, training
from fedlab_nb.flower.orders.trust import Trust
from fedlab_nb.parties.house import House
from fedlab_nb.rounds import rounds

DEEP = fl.CKKS("deep")


class ColumnsApart:
    """Owners and a key holder at sites of their own; ``crossed`` has all bytes, by party; ``asked`` what went there."""

    def __init__(self, owners, strategy, house=None, num_rounds=2, seed=0, kept=None, linkage=None):
        self.house = house or House(DEEP)
        names = tuple(o.name for o in owners)
        self.agreement = Agreement(names, self.house, strategy, num_rounds, seed, linkage=linkage)
        parties, makers = self.agreement.parties, self.agreement.key_makers
        facts = {"occasion": self.agreement.digest, "parties": parties, "makers": makers}
        self.trusts = {name: Trust(name, Identity(), **facts) for name in parties}
        by_name = {owner.name: owner for owner in owners}
        self.sites = {
            name: ColumnsSite(name, self.agreement, self.trusts[name], by_name.get(name), steps=self.steps(name, kept))
            for name in parties
        }
        self.crossed, self.asked, self.lost = [], set(), set()

    def steps(self, name, kept):
        return training(self.agreement, (kept or {}).get(name))

    def __call__(self, requests):
        replies = {}
        for name, data in requests.items():
            self.crossed.append((name, data))
            self.asked.add(data)
            if name not in self.lost:
                replies[name] = self.sites[name].answer(data)
        self.crossed += replies.items()
        return replies

    def federation(self):
        identities = {name: trust.public for name, trust in self.trusts.items()}
        hub = Hub(self.agreement.names, identities, self, self.agreement.digest)
        return ColumnsFederation(hub, self.house, self.agreement.linkage)

    def played(self):
        """The federation as the server knows it, and its rounds."""
        federation, agreed = self.federation(), self.agreement
        try:
            found = list(rounds(federation, agreed.strategy, num_rounds=agreed.num_rounds, seed=agreed.seed))
            if found[-1].failed is None:
                federation.sites.flush()
        finally:
            for site in self.sites.values():
                site.close()
        return federation, found


def kinds(federation):
    """What crossed between each two parties, in order: kind, bytes (but for keys, whose compressed sizes differ)."""
    return [
        (m.round, m.sender, m.receiver, m.kind, m.kind == "public key" or m.nbytes, m.plain_nbytes, m.encrypted)
        for m in sorted(federation.ledger.messages, key=lambda m: (m.sender, m.receiver))
    ]


def parts_apart(owners, strategy, num_rounds=2, seed=0, house=None):
    """Each owner's part of the model after the last round, as its site kept it; the server's federation and rounds."""
    from fedlab_nb.vertical.model.parts import load_part

    with tempfile.TemporaryDirectory() as folder:
        files = {owner.name: Path(folder) / f"{number}.safetensors" for number, owner in enumerate(owners)}
        kept = {name: part_keeper(strategy, name, file) for name, file in files.items()}
        apart = ColumnsApart(owners, strategy, house, num_rounds, seed, kept)
        federation, found = apart.played()
        return {name: load_part(file) for name, file in files.items() if file.exists()}, federation, found, apart


def together(owners, strategy, num_rounds=2, seed=0, house=None):
    """The same in one process, as a notebook does it."""
    house = house or House(DEEP)
    federation = fl.Federation(owners, encrypt=house.encrypt)
    return federation, list(rounds(federation, strategy, num_rounds=num_rounds, seed=seed))
