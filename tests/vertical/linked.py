"""What tests of linkage share: invented people, typos in what tells them apart, and two owners of them."""

from functools import cache

import numpy as np
import pandas as pd

import fedlab_nb as fl

FIELDS = ["name", "born", "town"]
PARTS = ["ba", "ri", "mon", "ka", "ler", "sto", "ne", "wil", "ha", "du", "san", "tor", "ve", "lin", "go", "mar", "pe"]
LETTERS, DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"


def words(rng, count, parts):
    return ["".join(rng.choice(PARTS, parts)).capitalize() for _ in range(count)]


@cache
def everybody(count):
    """Invented people: few first names and towns, more last names, a birth date, and a number to tell them apart."""
    rng = np.random.default_rng(5)
    first, last, towns = words(rng, 150, 2), words(rng, 600, 3), words(rng, 80, 3)
    born = pd.Timestamp("1940-01-01") + pd.to_timedelta(rng.integers(0, 24000, count), unit="D")
    return pd.DataFrame(
        {
            "name": [f"{rng.choice(first)} {rng.choice(last)}" for _ in range(count)],
            "born": born.strftime("%Y-%m-%d"),
            "town": rng.choice(towns, count),
            "who": np.arange(count, dtype=float),
        }
    )


def mistyped(text, rng):
    """One letter replaced, left out, put in, or changed with the next."""
    at, kind = int(rng.integers(len(text))), int(rng.integers(4))
    other = str(rng.choice(list(DIGITS if text[at].isdigit() else LETTERS)))
    if kind == 3:
        return text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :]
    return text[:at] + ["", other, other + text[at]][kind] + text[at + 1 :]


def frames(rows=1000, common=500, share=0.2):
    """Two owners' tables: ``common`` people are in both, a ``share`` of the second one's fields mistyped; shuffled."""
    whole, rng = everybody(2 * rows - common), np.random.default_rng(6)
    first, second = whole.iloc[:rows].copy(), whole.iloc[rows - common :].copy()
    for name in FIELDS:
        second[name] = [mistyped(text, rng) if rng.random() < share else text for text in second[name]]
    second = second.rename(columns={"name": "customer", "born": "birthday", "who": "number"})
    return first.sample(frac=1, random_state=1), second.sample(frac=1, random_state=2)


def pair(rows=200, common=100, share=0.2, **settings):
    """The bank and the shop; each has who the person is as a number, as only a test may see it."""
    first, second = frames(rows, common, share)
    return [
        fl.DataOwner("bank", first, id=FIELDS, **settings),
        fl.DataOwner("shop", second, id=["customer", "birthday", "town"], **settings),
    ]


def linked_people(fed, alignment):
    """Who the linked people are: by owner, those trained on and those held out, in order."""
    columns = {"bank": "who", "shop": "number"}

    def of(owner):
        def take(rows):
            mine = alignment.of(rows)
            return [features[columns[owner.name]].to_numpy() for features, _ in (mine.training, mine.held_out)]

        return owner._inside(take, stage="test")

    return {owner.name: of(owner) for owner in fed.owners}
