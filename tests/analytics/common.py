"""What tests of questions share: clinics with categories and missing values, and frames over them."""

from functools import cache

import numpy as np
import pandas as pd

import fedlab_nb as fl
from fedlab_nb.analytics import PrivateFrame

BOUNDS = {"age": (20, 100), "blood_pressure": (60, 240), "cholesterol": (60, 380)}
CATEGORIES = {
    "sex": ["female", "male"],
    "smoker": [False, True],
    "chest_pain": ["none", "on effort", "at rest"],
    "diagnosis": ["healthy", "ill"],
}
NUMBERS = ["age", "blood_pressure", "cholesterol"]


@cache
def pooled():
    """All clinics' rows in one table, as nobody in a federation has them."""
    return fl.data.clinics().drop(columns="clinic")


@cache
def shares():
    clinic = fl.data.clinics()["clinic"]
    return {name: pooled()[clinic == name] for name in ("North", "South", "East", "West")}


def owners(*, declared=False, tables=None, target="diagnosis", **settings):
    facts = {"bounds": BOUNDS, "categories": CATEGORIES} if declared else {}
    return [fl.DataOwner(n, t, target=target, **{**facts, **settings}) for n, t in (tables or shares()).items()]


def exact(*, encrypt=None, declared=False, owner=None, **more):
    """A frame over the clinics without noise."""
    return PrivateFrame(fl.Federation(owners(declared=declared), encrypt=encrypt), owner=owner, **more)


def noisy(epsilon=1.0, *, seed=None, encrypt=None, owner=None, budget=None, **more):
    """A frame over the clinics with noise; with a seed, a rehearsal."""
    protect = fl.RowLevelDP(noise_multiplier=1.0) if budget is None else fl.RowLevelDP()
    federation = fl.Federation(owners(declared=True), encrypt=encrypt, protect=protect, budget=budget, noise_seed=seed)
    return PrivateFrame(federation, owner=owner, epsilon=epsilon, **more)


def split(frame, parts, target, **settings):
    """A federation over one table, dealt out to several owners."""
    deal = np.array_split(np.random.default_rng(0).permutation(len(frame)), parts)
    tables = {f"Owner {i}": frame.iloc[rows] for i, rows in enumerate(deal, 1)}
    return fl.Federation([fl.DataOwner(n, t, target=target, **settings) for n, t in tables.items()])


def repeated(rows, columns, times=5):
    """A table with every row several times, so that no cell is small."""
    return pd.DataFrame(rows * times, columns=columns)
