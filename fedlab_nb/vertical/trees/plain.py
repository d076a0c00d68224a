"""The same trees where everything is in one place: predictions from all parts, and the yardstick of the protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.records.schema import Task
from fedlab_nb.vertical.shared import Setup
from fedlab_nb.vertical.trees.asking import answers
from fedlab_nb.vertical.trees.columns.bins import Candidates, find_candidates, secret_of
from fedlab_nb.vertical.trees.forest import HANDLE, OWNER, Forest
from fedlab_nb.vertical.trees.labels.gradients import base_scores, goss_weights, gradients
from fedlab_nb.vertical.trees.labels.growing import Desk
from fedlab_nb.vertical.trees.labels.splits import Penalty
from fedlab_nb.vertical.trees.level import own_sums

if TYPE_CHECKING:
    from fedlab_nb.vertical.secureboost import SecureBoost

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def desk_of(strategy: SecureBoost, scores: Floats, y: Floats, task: Task, number: int, seed: int) -> Desk:
    """What the trees of round ``number`` are grown from: g and h at ``scores`` (n, outputs), and which rows count."""
    weights = None
    if strategy.goss is not None and number > 1 / strategy.lr:
        weights = goss_weights(scores, y, task, strategy.goss, np.random.default_rng([seed, number]))
    penalty = Penalty(strategy.reg_lambda, strategy.gamma)
    return Desk(gradients(scores, y, task, weights), strategy.depth, strategy.lr, penalty, strategy.min_rows)


def by_leader(names: Sequence[str], leader: str) -> list[str]:
    """The owners in the order in which the first of equal splits wins: that of the labels before all others."""
    return sorted(names, key=lambda name: name != leader)


def plain_scores(
    strategy: SecureBoost,
    columns: Mapping[str, Floats],
    y: Floats,
    new: Mapping[str, Floats],
    setup: Setup,
    num_rounds: int,
) -> Floats:
    """Scores (m, outputs) of ``new`` rows from trees grown on ``columns``, by owner, of some owners or all."""
    place = {name: number for number, name in enumerate(setup.owners)}
    order = by_leader(list(columns), setup.labels_at)
    candidates = {
        place[name]: find_candidates(
            columns[name], strategy.bins, strategy.min_rows, secret_of(setup.seed, name, setup.readings[name].inputs)
        )
        for name in order
    }
    numbers = {place[name]: columns[name] for name in order}
    forest = Forest.empty(strategy.depth, base_scores(y, setup.task, setup.outputs))
    reached: Ints = np.zeros((0, len(y)), dtype=np.int64)
    for number in range(1, num_rounds + 1):
        desk = desk_of(strategy, forest.scores(reached), y, setup.task, number, setup.seed)
        alone = strategy.complete_secure and number == 1
        asked = {at: own for at, own in candidates.items() if not alone or at == place[setup.labels_at]}
        for level in range(strategy.depth):
            _grow_level(desk, asked, numbers, level, strategy.min_rows)
        forest, reached = forest.grown(desk.finish()), np.concatenate([reached, desk.reached])
    return scores_of(forest, candidates, {place[name]: X for name, X in new.items()})


def scores_of(forest: Forest, candidates: Mapping[int, Candidates], columns: Mapping[int, Floats]) -> Floats:
    """The scores (n, outputs) of rows whose columns (n, d) of all owners, by place, are here."""
    rows = next((len(X) for X in columns.values()), 0)
    reached: Ints = np.zeros((forest.trees, rows), dtype=np.int64)
    for tree, nodes in enumerate(forest.nodes):
        for node in np.flatnonzero(nodes[:, OWNER] >= 0):  # parents come before their children
            owner, here = int(nodes[node, OWNER]), np.flatnonzero(reached[tree] == node)
            left = candidates[owner].left(columns[owner][here], [int(nodes[node, HANDLE])])[:, 0]
            reached[tree, here] = np.where(left, 2 * node + 1, 2 * node + 2)
    return forest.scores(reached)


def _grow_level(
    desk: Desk, candidates: Mapping[int, Candidates], columns: Mapping[int, Floats], level: int, least: int
) -> None:
    desk.descend(level)
    if not desk.here:
        return
    for owner, own in candidates.items():
        desk.take(owner, own_sums(own, columns[owner], desk))
    desk.choose(list(candidates))
    while desk.waiting:
        for owner, own in candidates.items():
            desk.move(owner, answers(own, columns[owner], desk.asks(owner), least))
        desk.choose(list(candidates))
