"""Runs of all kinds, and what each hands to owners: sent, read, and run beside the same rows as the original."""

from functools import cache
from unittest.mock import patch

import numpy as np

import fedlab_nb as fl
from fedlab_nb import horizontal
from fedlab_nb.comparing.references import Training, alone
from fedlab_nb.flower.codec import Hooks, decode_work, encode
from fedlab_nb.flower.codec.allowed import called
from fedlab_nb.learn import Learner
from fedlab_nb.parties import Federation
from fedlab_nb.parties.owner import _ROWS
from fedlab_nb.records import Update
from tests.flower.codec.common import inside, same

MODEL = fl.models.mlp(3)


@cache
def table():
    """Thirty numbers are too many for a quick run: four of them, and a category made of one."""
    frame = fl.data.breast_cancer()
    small = frame[["mean_radius", "mean_texture", "mean_area"]].copy()
    small["size"] = np.where(frame["mean_area"] > 600, "large", "small")
    small["diagnosis"] = frame[frame.columns[-1]]
    return small


BOUNDS = {"mean_radius": (5.0, 30.0), "mean_texture": (5.0, 40.0), "mean_area": (100.0, 3000.0)}


def owners(number=3, *, declared=False, lists=True):
    """Owners of equal parts; ``lists`` says whether the values of categories are declared, ``declared`` bounds too."""
    parts = np.array_split(np.random.default_rng(0).permutation(len(table())), number)
    known = {"size": ["large", "small"], "diagnosis": sorted(table()["diagnosis"].unique())}
    return [
        fl.DataOwner(
            f"Owner {i}",
            table().iloc[part].reset_index(drop=True),
            target="diagnosis",
            bounds=BOUNDS if declared else None,
            categories=known if lists else None,
        )
        for i, part in enumerate(parts, 1)
    ]


def trained(strategy, number=3, *, declared=False, lists=True, **house):
    """Two rounds."""

    def run():
        federation = Federation(owners(number, declared=declared, lists=lists), **house)
        for record in fl.rounds(federation, strategy, num_rounds=2, seed=1):
            assert record.failed is None, record.failed

    return run


def asked(question, *, owner=None, declared=False, lists=True, **house):
    """A question to a frame."""

    def run():
        frame = fl.PrivateFrame(Federation(owners(declared=declared, lists=lists), **house), owner=owner)
        question(frame)

    return run


def trained_alone():
    """Each owner's own model."""
    alone(Federation(owners()), Training(MODEL, 0.1, 1, 16, 1, 0.0, 0.0), "accuracy", 1)


ROWS = {"protect": fl.RowLevelDP(), "budget": fl.Budget(8), "noise_seed": 1}
SAMPLED = {"protect": fl.RowLevelDP(row_rate=0.5), "budget": fl.Budget(8), "noise_seed": 1}
WHOLE = {"noise_seed": 1, "declared": True}

RUNS = {
    "FedAvg": trained(fl.FedAvg(MODEL), lists=False),
    "SCAFFOLD": trained(fl.SCAFFOLD(MODEL)),
    "Ditto": trained(horizontal.Ditto(MODEL)),
    "FedPer": trained(horizontal.FedPer(MODEL)),
    "AFL": trained(horizontal.AFL(MODEL)),
    "PerFedAvg": trained(horizontal.PerFedAvg(MODEL)),
    "MOON": trained(horizontal.MOON(MODEL)),
    "FedBuff": trained(horizontal.FedBuff(MODEL)),
    "row level": trained(fl.FedAvg(MODEL), lists=False, **ROWS),
    "row level, lots": trained(fl.FedAvg(MODEL), **SAMPLED),
    "owner level": trained(fl.FedAvg(MODEL), protect=fl.OwnerLevelDP(clip=1.0, noise_multiplier=1.0), **WHOLE),
    "adaptive clip": trained(
        fl.FedAvg(MODEL), protect=fl.OwnerLevelDP(clip=fl.AdaptiveClip(count_noise=2.5), noise_multiplier=1.0), **WHOLE
    ),
    "TopK": trained(fl.FedAvg(MODEL, compress=fl.compress.TopK(0.2))),
    "QSGD": trained(fl.FedAvg(MODEL, compress=fl.compress.QSGD(8))),
    "RandomK, encrypted": trained(fl.FedAvg(MODEL, compress=fl.compress.RandomK(0.2)), encrypt=fl.CKKS()),
    "clipped norms, masked": trained(fl.FedAvg(MODEL, aggregate=fl.aggregate.NormClipping(1.0)), encrypt=fl.SecAgg()),
    "groups": trained(fl.FedAvg(MODEL, aggregate=fl.aggregate.Median(), groups=5), 10),
    "alone": trained_alone,
    "describe": asked(lambda frame: frame.describe()),
    "describe, with noise": asked(lambda frame: frame.describe(), declared=True, **ROWS),
    "describe one owner": asked(lambda frame: frame.describe(), owner="Owner 2"),
    "histogram": asked(lambda frame: frame.histogram("mean_radius")),
    "quantile": asked(lambda frame: frame.quantile("mean_radius", [0.25, 0.5])),
    "quantile of one owner": asked(lambda frame: frame.quantile("mean_radius", [0.5]), owner="Owner 1"),
    "quantile, with noise": asked(lambda frame: frame.quantile("mean_radius", [0.5]), **ROWS),
    "condition": asked(lambda frame: frame[frame["mean_radius"] > 15].query("mean_area < 2000").describe()),
    "correlations": asked(lambda frame: frame.corr()),
    "values": asked(lambda frame: frame.value_counts("size"), lists=False),
    "groups of rows": asked(lambda frame: frame.groupby("size")["mean_radius"].mean()),
    "rows": asked(lambda frame: frame.count()),
    "missing": asked(lambda frame: frame.missing()),
    "evidence": asked(lambda frame: frame.woe("diagnosis", min(table()["diagnosis"].unique()))),
    "drift": asked(lambda frame: frame.drift("mean_radius")),
    "survival": asked(lambda frame: frame.kaplan_meier("mean_radius", "size", happened="large")),
}


class Same:
    """One piece of work that was sent: what it is called, which functions the message names, and what was unequal."""

    def __init__(self, verb, kind, name, functions, unequal):
        self.verb, self.kind, self.name, self.functions, self.unequal = verb, kind, name, functions, unequal


def special(value):
    """A federation by nothing, as there is one at each side; a learner by its facts."""
    if isinstance(value, Federation):
        return "federation", None
    return ("learner", value.facts) if isinstance(value, Learner) else None


def named(data):
    """The functions that a message names."""
    return {tuple(facts[:2]) for kind, facts, _ in inside(data) if kind in ("named", "inner", "method")}


@cache
def works(name):
    """All work of a run, sent to the same rows."""
    found = []

    def watching(verb, original):
        def watched(federation, kind, work, **terms):
            called_for = terms.get("cohort", terms.get("to")) or federation.names
            found.append(compared(federation, verb, kind, work, called_for))
            found[-1].functions |= named(encode(terms.get("payload"), hooks=Hooks(special)))
            return original(federation, kind, work, **terms)

        return watched

    verbs = {verb: watching(verb, getattr(Federation, verb)) for verb in ("gather", "hear", "collect")}
    with patch.multiple(Federation, **verbs):
        RUNS[name]()
    return found


def compared(federation, verb, kind, work, names):
    """The work after it was sent, run beside the rows of each owner, and of all at once where that may be."""
    data = encode(work, hooks=Hooks(special))
    hooks = Hooks(made={"federation": lambda _: federation, "learner": lambda facts: Learner.of(*facts)})
    arrived, again = decode_work(data, hooks=hooks), decode_work(data, hooks=hooks)
    by_name = {owner.name: owner for owner in federation.owners}
    rows = {name: _ROWS[by_name[name]] for name in names}
    unequal = [n for n, own in rows.items() if not same(told(arrived(n, own)), told(work(n, own)))]
    if getattr(work, "at_once", False):
        both = again.together(rows), work.together(rows)
        unequal += [n for n in rows if not same(told(both[0][n]), told(both[1][n]))]
    return Same(verb, kind, called(work), named(data), unequal)


def told(answer):
    """What an owner sends."""
    return (answer.value, answer.weight) if isinstance(answer, Update) else answer
