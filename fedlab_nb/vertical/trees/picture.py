"""A tree to look at: what whoever has these parts of the model can say of it."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from fedlab_nb.cards import Card, framed, image, panel
from fedlab_nb.records import State
from fedlab_nb.vertical.shared import Setup
from fedlab_nb.vertical.trees.columns.bins import Candidates
from fedlab_nb.vertical.trees.forest import GAIN, HANDLE, OWNER, VALUE, Forest, read_labels_part
from fedlab_nb.view.trees import Leaf, Split, said, tree_svg


def tree_card(state: State, number: int, shown: Collection[str]) -> Card:
    """Tree ``number``, from 0 on: questions of owners whose parts are ``shown`` in words, others' by handle only."""
    setup: Setup = state.context  # type: ignore[assignment]
    forest = read_labels_part(state.weights[setup.labels_at])[1]
    root = _node(state, setup, forest, number, 0, shown)
    turn = f"round {number // len(forest.base) + 1}"
    of = f", class {setup.classes[number % len(forest.base)]}" if len(forest.base) > 1 else ""
    title = f"A tree of {turn}{of}"
    score = f"log-odds of {setup.target.name} = {setup.classes[1]}" if setup.task == "binary" else "score"
    adds = f"What it adds to the {score} is at its ends."
    words, drawing = said(root, setup.owners), tree_svg(title, root, setup.owners)
    width = drawing.partition('viewBox="0 0 ')[2].partition(" ")[0]
    body = f'<div style="max-width:{width}px">{image(drawing, words)}</div>'
    note = f"{adds} Questions of owners whose names are not to be shown have numbers that only they can read."
    return Card(f"{title}. {adds} {words}", framed(panel("A tree, and who asks what", body, note=note)))


def _node(state: State, setup: Setup, forest: Forest, tree: int, node: int, shown: Collection[str]) -> Split | Leaf:
    facts = forest.nodes[tree, node]
    if facts[OWNER] < 0:
        return Leaf(f"{facts[VALUE]:+.3f}")
    name, handle = setup.owners[int(facts[OWNER])], int(facts[HANDLE])
    words = question(state, setup, name, handle) if name in shown else f"question {handle}"
    children = (_node(state, setup, forest, tree, child, shown) for child in (2 * node + 1, 2 * node + 2))
    return Split(int(facts[OWNER]), words, f"gain {facts[GAIN]:.3g}", *children)


def question(state: State, setup: Setup, name: str, handle: int) -> str:
    """What a candidate asks, in words of its owner."""
    part = state.weights[name]
    own = read_labels_part(part)[0] if name == setup.labels_at else Candidates.of(part)
    feature, edge, missing_left = own.table[handle]
    column = setup.readings[name].inputs[int(feature)]
    if np.isinf(edge):
        return f"{column} is known"
    asked = f"not {column}" if "=" in column and edge == 0.5 else f"{column} <= {edge:.4g}"
    return f"{asked} or missing" if missing_left else asked
