"""Small federations with something in their ledger and journal, without a training run."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd

import fedlab_nb as fl
from fedlab_nb.parties.shown.trust import UPDATE
from fedlab_nb.records import PrivacyEvent, Update

BUDGET = fl.Budget(8.0, 1e-3)
# What of it is open to releases other than lists of categories, which are not declared here.
OPEN = fl.Budget(BUDGET.epsilon, 0.9 * BUDGET.delta)
# Numbers and words that stand in private cells, or in what owners send.
SECRETS = ("918273", "Zanzibar", "0.4321234", "Atlantis")


def owners(names=("Clinic A", "Clinic B", "Clinic C"), seed=0, **settings):
    made = []
    for i, name in enumerate(names):
        rng = np.random.default_rng([seed, i])
        frame = pd.DataFrame({"age": rng.normal(size=30), "town": ["Zanzibar", "Rome", "Oslo"] * 10})
        frame.loc[0, "age"] = 918273.0
        frame["ill"] = np.where(rng.random(30) > 0.5, "yes", "no")
        made.append(fl.DataOwner(name, frame, target="ill", **settings))
    return made


def federation(**settings):
    return fl.Federation(owners(), **settings)


def event(number=1, noise=8.0, purpose=UPDATE, **more):
    mechanism = "gaussian" if noise else "none"
    return PrivacyEvent(number, purpose, more.pop("rows", "training"), "row", mechanism, noise, **more)


def release(fed, number=1, noise=8.0, *, asked="", kind="update", **more):
    """A sum over all owners with Gaussian noise, or an exact one."""
    return fed.gather(
        kind,
        lambda *_: Update(np.array([0.4321234, -0.5]), 1.0),
        number=number,
        cohort=fed.names,
        bound=1.0,
        noise_sd=noise,
        debits={name: [event(number, noise, **more)] for name in fed.names},
        asked=asked,
    )


def tell_lists(fed, number=1):
    """Every owner answers by itself, readable and exact."""
    debits = {name: [event(number, 0.0, "the categories of the columns")] for name in fed.names}
    return fed.hear("category list", lambda *_: '["Atlantis"]', number=number, debits=debits)


class Words(HTMLParser):
    """What a reader of the page reads, and its elements."""

    def __init__(self, page):
        super().__init__()
        self.words, self.tags, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
