"""Invented runs, for tests and for looking: every kind of thing the eyes may be handed."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np

from fedlab_nb.errors import RoundError
from fedlab_nb.records import (
    Access,
    Branch,
    Failure,
    History,
    Message,
    Note,
    OwnerLine,
    Peek,
    Round,
    Snapshot,
    Spending,
    State,
    Threat,
    Traffic,
    WhatIf,
)

EVIL = '<img src=x onerror="alert(1)">'
ACCESS = (
    Access("rows", "own", "never", "never"),
    Access("one owner's update", "own", "sealed", "never"),
    Access("the sum of updates", "never", "sealed", "reads"),
    Access("the model", "reads", "reads", "reads"),
)
THREATS = (
    Threat("the server", "one owner's update", True),
    Threat("the key holder", "the sum of a round, never one update", None),
    Threat("server and key holder together", "every owner's update", False),
    Threat("anyone who gets the model", "whether a row was in the training data", True),
)


def fake_round(n, *, metric="accuracy", sd=0.0, owners=5, total=20, encrypted=True, private=True, agreed=8.0, fail=()):
    rng = random.Random(n * 7919)
    names = tuple(f"Owner {i + 1}" for i in range(owners))
    state = State({"server": np.zeros(3)})
    traffic = {
        "update": Traffic(owners, 331_000 * owners if encrypted else 41_000, 41_000, encrypted),
        "sum": Traffic(1, 331_000 if encrypted else 8_200, 8_200, encrypted),
        "model": Traffic(owners, 8_200 * owners, 8_200 * owners, False),
    }
    epsilon = agreed * (n / total) ** 0.55 if private else None
    if n in fail:
        error = RoundError(
            "Owner 2", "train", "Owner 2 sent a number that is not finite.", "It spoils the sum.", "Lower the rate."
        )
        return Round(n, state, names, epsilon=epsilon, failed=Failure("Owner 2", "train", error))
    good = 0.97 - 0.32 * math.exp(-n / 3.5)
    value = good if metric != "rmse" else 12 * (1.05 - good)
    scores = {
        name: {
            metric: min(1.0, value - 0.05 * rng.random() + 0.01)
            if metric != "rmse"
            else value * (0.9 + 0.3 * rng.random())
        }
        for name in names
    }
    return Round(
        n,
        state,
        names,
        metrics={metric: value + rng.gauss(0, sd), "loss": 1 / n},
        noise={metric: sd} if sd else {},
        owner_metrics={} if sd else scores,
        traffic=traffic,
        seconds={"train": 0.1, "seal": 0.05},
        epsilon=epsilon,
    )


def spending(spent, *, agreed=8.0, private=True, total=20, left=3):
    if not private:
        return Spending(
            None, None, None, "row", "No guarantee: nothing limits what the updates say about a row.", False
        )
    claim = f"Every row: epsilon {spent:.2f}, delta 0.001, counting training, statistics and metrics together."
    lines = (("training", "7.1"), ("column statistics", "0.6"), ("metrics", "0.3"))
    what_if = (WhatIf(1.0, left, 6.1), WhatIf(0.5, left // 2, 12.0), WhatIf(2.0, None, 4.0))
    return Spending(agreed, 1e-3, spent, "row", claim, True, left, lines, what_if, 1.0)


def fake(
    done=14,
    total=20,
    *,
    state="running",
    metric="accuracy",
    sd=0.0,
    owners=5,
    encrypted=True,
    private=True,
    fail=(),
    title="Federated training",
):
    history = History(
        fake_round(n, metric=metric, sd=sd, owners=owners, total=total, encrypted=encrypted, private=private, fail=fail)
        for n in range(1, done + 1)
    )
    spent = history[-1].epsilon if history and private else 0.0
    return Snapshot(
        title=title,
        state=state,
        num_rounds=total,
        history=history,
        spending=spending(spent, private=private, total=total, left=total - done),
        access=ACCESS,
        threats=THREATS,
        metric=metric,
        note="All parties live in this one process: a simulation of the walls.",
        elapsed=0.8 * done,
        left=0.8 * (total - done) if state == "running" else None,
        owners=tuple(f"Owner {i + 1}" for i in range(owners)),
        lines=tuple(owner_line(i, history) for i in range(owners)),
        notes=(Note(0, 0.1, "Training began."), Note(min(3, done), 2.0, "Paused.", "warning")),
        settings={"lr": 0.1, "local_epochs": 2, "dropout": 0.0},
    )


def owner_line(i, history):
    name = f"Owner {i + 1}"
    scores = history[-1].owner_metrics.get(name, {}) if history else {}
    return OwnerLine(
        name, len(history), bool(history) and i != 1, i == 1, 90 + i, next(iter(scores.values()), None), 0.2
    )


def with_traffic(snapshot, **kinds):
    """As ``snapshot``, where these kinds crossed in its first round, and what is sent in the clear in the others."""
    first, *others = snapshot.history
    named = {kind.replace("_", " "): flow for kind, flow in kinds.items()}
    return replace(snapshot, history=History([replace(first, traffic=named), *others]))


def with_settings(snapshot, **settings):
    return replace(snapshot, settings=settings)


def evil(snapshot):
    return replace(
        snapshot,
        title=EVIL,
        note=EVIL,
        owners=(EVIL, *snapshot.owners[1:]),
        access=(Access(EVIL, "own", "reads", "never", (None, evil_message(), None)),),
        lines=(OwnerLine(EVIL, 3, present=True, dropped=False), *snapshot.lines[1:]),
        notes=(Note(1, 0.5, EVIL, "bad"),),
        branches=(Branch(EVIL, snapshot.history[1:]),),
        threats=(Threat(EVIL, EVIL, None),),
        spending=replace(snapshot.spending, claim=EVIL, lines=((EVIL, EVIL),)),
    )


def evil_message():
    return Message(3, 1, EVIL, EVIL, EVIL, 10, 10, False, Peek(True, EVIL, (9,), EVIL), "d", "p")
