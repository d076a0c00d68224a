"""Objects of vertical learning, made by users who chose the worst names there are."""

from __future__ import annotations

import numpy as np
import pandas as pd

import fedlab_nb as fl

ROWS = 60


def vertical_things(evil: str, two_lines: str, word: str, number: float) -> dict[str, object]:
    """A name for each, and the object; ``word`` and ``number`` stand in private cells only."""
    fed = fl.Federation(_owners(evil, two_lines, word, number), encrypt=fl.CKKS("deep"))
    linear = fl.vertical.LogisticRegression(evil)
    trees = fl.vertical.SecureBoost(evil, depth=1, bins=4, min_rows=5)
    found = fl.gain(fed, linear, num_rounds=1, consent=[evil, two_lines])
    model = linear.model_of(found.history[-1].state)
    grown = list(fl.rounds(fed, trees, num_rounds=1))[-1]
    cut = fl.Federation(_owners(evil, two_lines, word, number))
    network = fl.vertical.SplitNN(evil, cut=1)
    halved = list(fl.rounds(cut, network, num_rounds=1))[-1]
    frame = fl.PrivateFrame(fed)
    return {
        "alignment": fl.vertical.align(fed),
        "gain": found,
        "vertical model": model,
        "vertical part": model.parts[two_lines],
        "vertical merged": model.merge(fed, consent=[evil, two_lines]),
        "joint prediction": fl.vertical.JointPrediction(linear),
        "scorecard": fl.vertical.scorecard(model),
        "points": fl.vertical.scorecard(model).parts[two_lines],
        "linear strategy": linear,
        "trees": trees,
        "tree": trees.tree(grown.state, 0),
        "split network": network,
        "defence": fl.vertical.Marvell(),
        "label leak": fl.vertical.label_leak(cut, halved),
        "vertical round": grown,
        "vertical frame": frame,
        "selection: answer": frame.select(evil, event="yes", bins=3),
        "vertical run": fl.train(cut, network, num_rounds=1),
    }


def _owners(evil: str, two_lines: str, word: str, number: float) -> list[fl.DataOwner]:
    rng = np.random.default_rng(0)
    ids, value = rng.permutation(ROWS), rng.normal(0.0, 1e5, ROWS)
    value[3] = number
    places = np.where(rng.random(ROWS) < 0.5, word, "elsewhere")
    first = pd.DataFrame({"id": ids, f"x{evil}": value, evil: np.where(value > 0, "yes", "no")})
    second = pd.DataFrame({"id": ids[::-1], "a\nb": rng.normal(size=ROWS), two_lines: value[::-1], "where": places})
    public = {"where": ["elsewhere", "nowhere"]}
    return [
        fl.DataOwner(evil, first, target=evil, id="id", categories={evil: ["no", "yes"]}),
        fl.DataOwner(two_lines, second, id="id", categories=public),
    ]
