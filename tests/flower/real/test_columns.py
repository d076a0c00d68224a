"""Owners of different columns over a real SuperLink: each runs the protocol itself, and the bits are the notebook's."""

import numpy as np
import psutil
import pytest

import fedlab_nb as fl
from fedlab_nb.flower.deploy.guard.tree import lives
from fedlab_nb.flower.rehearsal import Rehearsal
from fedlab_nb.vertical import load_part
from tests.flower.columns.apart import kinds
from tests.flower.deploy.common import until, with_flower

pytestmark = [with_flower, pytest.mark.slow]


def owners():
    table = fl.data.breast_cancer().iloc[:160]
    held = {"bank": ["mean_radius", "mean_texture", "diagnosis"], "shop": ["mean_smoothness", "mean_area"]}
    return fl.split_columns(table, overlap=0.9, seed=1, **held)


def test_one_round_of_logistic_regression():
    strategy = fl.vertical.LogisticRegression("bank")
    here = fl.Federation(owners(), encrypt=fl.CKKS("deep"))
    (expected,) = fl.rounds(here, strategy, num_rounds=1)
    with Rehearsal(fl.Federation(owners(), encrypt=fl.CKKS("deep")), strategy, num_rounds=1) as lab:
        processes = [psutil.Process(pid) for those in lab.loopback.pids().values() for pid in those]
        run = lab.run()
        (record,) = run.wait()
        parts = {part.owner: part for part in map(load_part, lab._folder.glob("sites/*/part.safetensors"))}
        there = run.federation.ledger
    assert record.failed is None
    assert record.metrics == expected.metrics
    assert set(parts) == {"bank", "shop"}
    assert all(np.array_equal(part.weights, expected.state.weights[name]) for name, part in parts.items())
    assert there.verify()
    assert kinds(run.federation) == kinds(here)
    # The server passed on what owners sent each other, and saw no number of it.
    between = [m for m in there.messages if {m.sender, m.receiver} <= {"bank", "shop", "key holder"}]
    assert between
    assert not any(m.peek.head for m in between)
    assert until(lambda: not any(map(lives, processes)), 30.0)
