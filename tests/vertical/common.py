"""What tests of owners of different columns share: an invented table, owners of its parts, and the pooled truth."""

from functools import cache

import numpy as np
import pandas as pd

import fedlab_nb as fl
from fedlab_nb.parties.columns.split import split_columns

BANK = ["income", "age", "sector", "default"]
SHOP = ["visits", "spent", "region"]
POST = ["letters", "parcels"]


@cache
def people(rows=200):
    """Invented people with numbers, categories and an id; nothing is missing."""
    rng = np.random.default_rng(7)
    income = rng.lognormal(3.0, 0.5, rows)
    visits = rng.poisson(4 + income / 10, rows).astype(float)
    spent = visits * rng.lognormal(1.0, 0.3, rows)
    risk = 1 / (1 + np.exp(0.1 * income - 0.3 * visits + 1))
    return pd.DataFrame(
        {
            "customer": [f"C{number:05d}" for number in rng.permutation(10 * rows)[:rows]],
            "income": income,
            "age": rng.integers(18, 90, rows),
            "sector": rng.choice(["trade", "state", "none"], rows, p=[0.5, 0.45, 0.05]),
            "visits": visits,
            "spent": spent,
            "region": rng.choice(["north", "south", "isle"], rows, p=[0.6, 0.38, 0.02]),
            "letters": rng.poisson(2 + income / 30, rows),
            "parcels": rng.normal(size=rows) + visits,
            "default": np.where(rng.random(rows) < risk, "yes", "no"),
        }
    )


def with_gaps(rows=200, share=0.1):
    """The same people, some of their numbers missing."""
    frame, rng = people(rows).copy(), np.random.default_rng(8)
    for name in ("income", "visits", "spent", "parcels"):
        frame.loc[rng.random(rows) < share, name] = np.nan
    return frame


def owners(frame=None, *, parties=2, overlap=0.8, **settings):
    """The bank (with the labels), the shop and the post, on shuffled rows that overlap partly."""
    frame = people() if frame is None else frame
    columns = {"bank": BANK, "shop": SHOP, "post": POST}
    held = dict(list(columns.items())[:parties])
    return split_columns(frame, overlap=overlap, id="customer", **{**held, **settings})


def tables(parts):
    """The rows of each owner, as only a test may see them; ids in their common form."""
    return {owner.name: owner._inside(_table, stage="test") for owner in parts}


def _table(rows):
    sides = zip((rows.training, rows.held_out), rows.ids, strict=True)
    parts = [x.assign(**{str(y.name): y.to_numpy()}, customer=[i.decode() for i in ids]) for (x, y), ids in sides]
    return pd.concat(parts, ignore_index=True).drop(columns="", errors="ignore")


def pooled(parts):
    """The rows that all owners have, joined by their ids, as nobody in a federation has them."""
    first, *others = tables(parts).values()
    for other in others:
        first = first.merge(other, on="customer")
    return first


def federation(parts=None, **settings):
    settings.setdefault("encrypt", fl.CKKS("deep"))
    return fl.Federation(owners() if parts is None else parts, **settings)
