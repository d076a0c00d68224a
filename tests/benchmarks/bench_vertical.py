"""What vertical learning gives and costs, beside FATE's figures: printed to be read, never a pass or a fail.

python run.py bench vertical [breast] [credit] [alignment] [folds]

Without arguments the first three. "folds" trains the credit model five more times, to score rows that it never saw.
CPU seconds count all threads; on a machine with other work they are up to twice those of an idle one, so the cost of
one multiplication of a point and of one sealed block stands beside them.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression as Pooled
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import fedlab_nb as fl
from fedlab_nb.crypto.psi import Blind
from fedlab_nb.vertical import LogisticRegression

FATE = Path(__file__).resolve().parents[3] / "shared" / "data" / "fate"
FOLDS = 5
IDS = 10_000
BREAST_ROUNDS, BREAST_L2, CREDIT_ROUNDS = 10, 0.05, 15


def say(line):
    """One line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Clock:
    """Seconds and CPU seconds since it was made."""

    def __init__(self):
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __str__(self):
        return f"{time.perf_counter() - self._wall:.1f} s ({self.cpu:.1f} CPU s)"

    @property
    def cpu(self):
        return time.process_time() - self._cpu


def two_tables(name):
    """The bank's and the shop's frame of one of FATE's examples; of breast cancer else scikit-learn's; or None."""
    files = [FATE / f"{name}_hetero_{role}.csv" for role in ("guest", "host")]
    if all(file.exists() for file in files):
        bank, shop = map(pd.read_csv, files)
        return bank, shop.rename(columns={c: f"shop {c}" for c in shop if c != "id"})
    if name != "breast":
        return None
    table = fl.data.breast_cancer()
    table = table.assign(id=np.arange(len(table)), y=(table.pop("diagnosis") == "malignant").astype(int))
    features = [c for c in table if c not in ("id", "y")]
    return table[["id", "y", *features[:10]]], table[["id", *features[10:]]]


def owners(bank, shop, rows=None):
    """Owners of these rows (by the bank's order), all to train on, the shop's in another order."""
    if rows is not None:
        bank, shop = bank.iloc[rows], shop[shop["id"].isin(bank["id"].iloc[rows])]
    return [
        fl.DataOwner("bank", bank, target="y", id="id", held_out=0.0),
        fl.DataOwner("shop", shop.sample(frac=1.0, random_state=1), id="id", held_out=0.0),
    ]


def trained(made, l2, num_rounds):
    """(model, seconds of alignment, seconds of training, its stages) of owners that hold nothing out."""
    fed, clock = fl.Federation(made, encrypt=fl.CKKS("deep")), Clock()
    fl.vertical.align(fed)
    aligned, clock, stages = str(clock), Clock(), Counter()
    strategy = LogisticRegression("bank", l2=l2)
    for record in fl.rounds(fed, strategy, num_rounds=num_rounds):
        if record.failed is not None:
            raise record.failed.error
        stages.update(record.seconds)
    return strategy.model_of(record.state), fed, aligned, str(clock), stages


def auc_of(model, bank, shop, rows):
    """The AUC that the owners find together on other rows."""
    new = bank.iloc[rows]
    return model.evaluate(bank=new, shop=shop[shop["id"].isin(new["id"])])["auc"]


def folds(bank, shop, l2, num_rounds):
    """The mean AUC over five folds of rows that were not trained on, and what each training took."""
    split, found, took = StratifiedKFold(FOLDS, shuffle=True, random_state=0), [], []
    for train, test in split.split(bank, bank["y"]):
        model, _, _, seconds, _ = trained(owners(bank, shop, train), l2, num_rounds)
        found.append(auc_of(model, bank, shop, test))
        took.append(seconds)
    return float(np.mean(found)), took


def pooled(frame, y, l2, *, cut=8.0):
    """The same of scikit-learn on one table, values cut off as ours are: train AUC, and mean over the same folds."""
    cutting = FunctionTransformer(np.clip, kw_args={"a_min": -cut, "a_max": cut})
    model = make_pipeline(StandardScaler(), cutting, Pooled(C=1 / (l2 * len(y)), max_iter=5000))
    split = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    scores = [
        roc_auc_score(y.iloc[test], model.fit(frame.iloc[train], y.iloc[train]).decision_function(frame.iloc[test]))
        for train, test in split.split(frame, y)
    ]
    return roc_auc_score(y, model.fit(frame, y).decision_function(frame)), float(np.mean(scores))


def breast():
    """Breast cancer, 10 + 20 columns."""
    bank, shop = two_tables("breast")
    mean, took = folds(bank, shop, BREAST_L2, BREAST_ROUNDS)
    both = bank.merge(shop, on="id").drop(columns=["id", "y"])
    say(f"breast, {len(bank)} rows, {BREAST_ROUNDS} rounds: AUC over {FOLDS} folds {mean:.4f} (to reach: .994)")
    say(f"  pooled, scikit-learn: {pooled(both, bank['y'], BREAST_L2)[1]:.4f}")
    say(f"  each training: {', '.join(took)} (to reach: 5 s; FATE: 69 s)")


def credit(*, with_folds=False):
    """Default of credit card clients, 13 + 10 columns, 30,000 rows."""
    tables = two_tables("default_credit")
    if tables is None:
        say(f"credit: there is no {FATE}, so it is left out")
        return
    bank, shop = tables
    l2, y = 1 / len(bank), bank["y"]
    model, fed, aligned, took, stages = trained(owners(bank, shop), l2, CREDIT_ROUNDS)
    both, own = bank.merge(shop, on="id").drop(columns=["id", "y"]), bank.drop(columns=["id", "y"])
    say(f"credit, {len(bank):,} rows, {CREDIT_ROUNDS} rounds: train AUC {model.evaluate(fed)['auc']:.4f}"
          " (to reach: .7242 +- .001; FATE: .717)")  # fmt: skip
    scores = [pooled(both, y, l2), pooled(both, y, l2, cut=np.inf), pooled(own, y, l2)]
    line = "  pooled, scikit-learn: {:.4f}; with nothing cut off {:.4f}; the bank alone {:.4f}"
    say(line.format(*(train for train, _ in scores)))
    say(f"  alignment {aligned}, training {took} (to reach: 60 s)")
    say("  of which " + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.most_common()))
    if with_folds:
        mean, took = folds(bank, shop, l2, CREDIT_ROUNDS)
        say(f"  AUC over {FOLDS} folds {mean:.4f} (to reach: .7225 +- .001), {', '.join(took)}")
        say(line.format(*(mean for _, mean in scores)))


def alignment():
    """Ten thousand ids at either owner, half of them in common."""
    rng = np.random.default_rng(0)
    made = [
        fl.DataOwner(name, pd.DataFrame({"id": ids, name: rng.normal(size=IDS)}), id="id")
        for name, ids in (("a", rng.permutation(IDS)), ("b", IDS // 2 + rng.permutation(IDS)))
    ]
    clock = Clock()
    found = fl.vertical.align(fl.Federation(made), progress=lambda _: None)
    say(f"alignment, {IDS:,} x {IDS:,} ids: {clock}, {found.rows:,} in common (to reach: 4 s)")
    blind = Blind("a", b"bench")
    points, clock = blind.begin([b"%d" % number for number in range(500)]), Clock()
    blind.mask(points, sender="b")
    say(f"  one multiplication: {2000 * clock.cpu:.0f} CPU µs here now (72 on an idle core); {4 * IDS:,} are needed")


def main(*asked: str) -> None:
    """Print what is asked for."""
    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    chosen = asked or ("breast", "credit", "alignment")
    if "breast" in chosen:
        breast()
    if "credit" in chosen or "folds" in chosen:
        credit(with_folds="folds" in chosen)
    if "alignment" in chosen:
        alignment()


if __name__ == "__main__":
    main(*sys.argv[1:])
