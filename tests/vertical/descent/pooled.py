"""Linear models on pooled columns, written anew and without any protocol: what weights must come out; the tables."""

from functools import cache

import numpy as np

import fedlab_nb as fl
from fedlab_nb.parties.columns.road import alignment_of
from fedlab_nb.vertical.descent.links import Sigmoid
from tests.vertical.common import POST, SHOP, owners, people, with_gaps

BANK = ["income", "age", "sector"]
TARGETS = {"binary": "default", "classes": "kind", "number": "worth", "count": "calls"}


@cache
def table(rows=200, *, gaps=False):
    """The invented people with a target of every kind; ``gaps``: some numbers are missing."""
    whole, rng = people(rows), np.random.default_rng(3)
    frame = (with_gaps(rows) if gaps else whole).copy()
    pull = (whole["visits"] - whole["visits"].mean()) / whole["visits"].std() - 0.02 * whole["age"]
    frame["kind"] = np.array(["blue", "green", "red"])[np.digitize(pull + rng.normal(size=rows), [-1.4, -0.4])]
    frame["worth"] = 3.0 * whole["income"] - 2.0 * whole["parcels"] + rng.normal(0, 5, rows)
    frame["calls"] = rng.poisson(np.exp(0.4 * pull + 0.8)).astype(float)
    return frame


def parts(kind="binary", *, rows=200, gaps=False, parties=2, frame=None, **settings):
    """Owners of this table whose first has the target of a kind; shuffled rows that overlap partly."""
    columns = {"bank": [*BANK, TARGETS[kind]], "shop": SHOP, "post": POST}
    held = dict(list(columns.items())[:parties])
    frame = table(rows, gaps=gaps) if frame is None else frame
    return owners(frame, parties=parties, target=TARGETS[kind], **{**held, **settings})


def federation(kind="binary", *, encrypt=None, **settings):
    return fl.Federation(parts(kind, **settings), encrypt=encrypt or fl.CKKS("deep"))


def played(fed, strategy, num_rounds=4, **settings):
    """All rounds, each of which went well."""
    history = list(fl.rounds(fed, strategy, num_rounds=num_rounds, **settings))
    assert [r.failed for r in history] == [None] * len(history)
    return history


def common_rows(fed, side="training"):
    """By owner the rows in common, (frame, target), in the order that all have agreed on, as only a test sees them."""
    found = alignment_of(fed)
    return {owner.name: owner._inside(lambda rows: getattr(found.of(rows), side), stage="test") for owner in fed.owners}


def read(frame, schema, like=None):
    """Standard deviations from the mean of ``like``, up to 8, an input for missing ones; 0 or 1 for a category."""
    like, columns = frame if like is None else like, []
    for column in schema.features:
        values, known = frame[column.name], like[column.name]
        if column.kind == "numeric":
            mean, spread = known.astype(float).mean(), known.astype(float).std(ddof=0)
            columns.append(((values.astype(float) - mean) / spread).clip(-8.0, 8.0).fillna(0.0))
            if known.isna().any():
                columns.append(values.isna().astype(float))
        else:
            columns += [(values == category).astype(float) for category in column.categories]
    return np.column_stack(columns)


def labels(fed, side="training"):
    """(n, outputs): 0 or 1, a column for each of several classes, or a number as models take it."""
    holder = next(owner for owner in fed.owners if owner.target)
    y, train = (common_rows(fed, each)[holder.name][1] for each in (side, "training"))
    if holder.target == "worth":
        return ((y.astype(float) - train.astype(float).mean()) / train.astype(float).std(ddof=0)).to_numpy()[:, None]
    if holder.target == "calls":
        return (y.astype(float) / train.astype(float).mean()).to_numpy()[:, None]
    each = np.column_stack([(y == category).to_numpy(float) for category in holder.schema.target.categories])
    return each if each.shape[1] > 2 else each[:, 1:]


def columns(fed, side="training"):
    """By owner what it multiplies with weights: its inputs, and at the owner of the labels a column of ones."""
    there, train, found = common_rows(fed, side), common_rows(fed), {}
    for owner in fed.owners:
        X = read(there[owner.name][0], owner.schema, train[owner.name][0])
        found[owner.name] = np.column_stack([X, np.ones(len(X))]) if owner.target else X
    return found


def residual(target, u, y, *, straight, reach=5.0):
    if target == "worth":
        return u - y
    if target == "calls":
        return np.exp(u) - y
    return u / 4 + 0.5 - y if straight else Sigmoid().reaching(reach).residual(u, y)


def reach(partial):
    """How far the scores of either owner go, as they tell each other."""
    far = max(float(np.quantile(np.abs(u), 0.999)) for u in partial)
    return next(each for each in (2.5, 5.0, 7.0, 10.0) if each >= far)


def fitted(fed, strategy, num_rounds, *, straight=False, seed=0):
    """By owner the weights (d, outputs) of the same descent on the pooled columns of the rows in common."""
    X, Y = columns(fed), labels(fed)
    target = next(owner.target for owner in fed.owners if owner.target)
    slope = {"worth": 1.0, "calls": 2.0}.get(target, 0.25)
    free = {name: np.ones(x.shape[1]) for name, x in X.items()}
    free[strategy.labels_at][-1] = 0.0
    way = {name: preconditioner(x, strategy, slope, free[name]) for name, x in X.items()}
    length, now = strategy.lr / slope / len(X), {name: np.zeros((x.shape[1], Y.shape[1])) for name, x in X.items()}
    before = now
    for number in range(1, num_rounds + 1):
        push = 0.0 if strategy.batch_size else (number - 1) / (number + 2)
        for _, places, rows in strategy.batches(seed, number, len(Y)):
            at = {name: now[name] + push * (now[name] - before[name]) for name in X}
            d = np.empty_like(Y[places])
            for output in range(d.shape[1]):
                partial = [X[name][places] @ at[name][:, output] for name in X]
                far = reach(partial) if target not in ("worth", "calls") else 0.0
                d[:, output] = residual(target, sum(partial), Y[places, output], straight=straight, reach=far)
            before, now = now, {}
            for name, x in X.items():
                slopes = x[places].T @ d / rows + strategy.l2 * free[name][:, None] * at[name]
                moved = at[name] - length * way[name] @ slopes
                room = length * strategy.l1 * np.diag(way[name])[:, None] * free[name][:, None]
                now[name] = np.sign(moved) * np.maximum(np.abs(moved) - room * bool(strategy.l1), 0.0)
    return now


def preconditioner(x, strategy, slope, free):
    moments = x.T @ x / len(x) + np.diag(free) * strategy.l2 / slope
    if not strategy.l1:
        return np.linalg.pinv(moments, rcond=1e-9, hermitian=True)
    each = np.diag(moments) ** -0.5
    return np.diag(each**2 / np.linalg.eigvalsh(each[:, None] * moments * each).max())


def distance(state, weights):
    """The largest difference between an owner's weights in a state and those that must come out."""
    return max(np.abs(state.weights[name] - w.ravel()).max() for name, w in weights.items())
