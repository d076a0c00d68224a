"""A vertical run in which somebody does not keep to the protocol: what a test puts in on the way, or at a party."""

import threading
from dataclasses import replace
from functools import cache

import pytest

import fedlab_nb as fl
from fedlab_nb.errors import FedLabError
from fedlab_nb.flower.columns import wire
from fedlab_nb.flower.columns.talk import read_delivery, read_return, written
from tests.flower.columns.apart import ColumnsApart
from tests.flower.columns.test_linear import owners

FIRST, SECOND = "owner 0", "owner 1"
# Two owners who do without a key holder: the quickest run in which everything is sealed, multiplied and opened.
STRATEGY = fl.vertical.LogisticRegression(FIRST, key_holder=False)
WITH_HOLDER = fl.vertical.LogisticRegression(FIRST)
# Only there so that a broken test ends.
PATIENCE = 60.0


@cache
def pair():
    """Two owners with few rows."""
    return owners(2, 100)


class Attacked(ColumnsApart):
    """``to_site(name, delivery)`` and ``to_server(name, return)`` give what arrives; None for nothing."""

    def __init__(self, strategy=STRATEGY, parts=None, **settings):
        super().__init__(parts or pair(), strategy, **settings)
        self.to_site = self.to_server = lambda _, said: said

    def __call__(self, requests):
        replies = {}
        for name, data in requests.items():
            changed = self.to_site(name, read_delivery(data))
            given = None if changed is None else super().__call__({name: as_bytes(changed)}).get(name)
            back = None if given is None else self.to_server(name, read_return(given))
            if back is not None:
                replies[name] = as_bytes(back)
        return replies

    def outcome(self):
        """Why the run failed, and the ledger as far as it came; nobody is left waiting."""
        done, before = [], {*threading.enumerate()}

        def play():
            try:
                federation, found = self.played()
            except FedLabError as error:  # nobody has met yet
                done.append((error, None, None))
            else:
                done.append((found[-1].failed and found[-1].failed.error, federation, found))

        player = threading.Thread(target=play, daemon=True)
        player.start()
        player.join(PATIENCE)
        assert done, "the run hangs, or broke with an error that names nobody"
        for thread in {*threading.enumerate()} - before:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a party is left waiting"
        return done[0]

    def spent(self):
        """By owner how often its own account was debited, as its site has it."""
        return {name: sum(_accounts(site)[name].counts.values()) for name, site in self.sites.items() if site._owner}


def _accounts(site):
    return site._books.accounts


def as_bytes(said):
    return said if isinstance(said, bytes) else written(said)


def refused(apart, words):
    """The run fails, with these words among those that say why, and no score was told."""
    error, federation, _ = apart.outcome()
    assert isinstance(error, FedLabError), "the lie went through"
    assert all((error.what, error.why, error.do))
    assert words in str(error), str(error)
    if federation is not None:
        assert "score" not in {message.kind for message in federation.ledger.messages}
    return error, federation


class Once:
    """A lie about the first parcels for which it gives something else; ``told`` says whether there was one."""

    def __init__(self, change, kind=None, to=None, sender=None):
        self._change, self._wanted, self.told = change, (kind, to, sender), False

    def __call__(self, name, said):
        if self.told or isinstance(said, bytes):
            return said
        parcels = list(said.parcels)
        for place, parcel in enumerate(parcels):
            facts = parcel.facts
            there = facts.kind, facts.to, facts.sender
            if all(want in (None, is_) for want, is_ in zip(self._wanted, there, strict=True)):
                changed = self._change(parcels, place)
                if changed is not None:
                    self.told = True
                    return replace(said, parcels=tuple(changed))
        return said


def with_facts(**changes):
    """A parcel of which something else is said than is true."""
    return in_place(lambda parcel: replace(parcel, facts=replace(parcel.facts, **changes)))


def in_place(change):
    """The same parcels, one of them changed."""
    return lambda parcels, place: [*parcels[:place], change(parcels[place]), *parcels[place + 1 :]]


@pytest.fixture
def lying(monkeypatch):
    """Makes a party send something else than its work gave: ``lying(name, kind, lie)``; what it seals is whole."""
    post, told = wire.Wire._post, []

    def lying(name, kind, lie, to=None):
        def posted(self, number, receiver, said, payload):
            sends = (self.name, said) == (name, kind) and to in (None, receiver) and not told
            told.extend([1] * sends)
            for each in lie(number, receiver, said, payload) if sends else [(number, receiver, said, payload)]:
                post(self, *each)

        monkeypatch.setattr(wire.Wire, "_post", posted)
        return told

    return lying
