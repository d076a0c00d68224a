"""The same network with all columns in one place and no messages: what the protocol is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.learn.engine.plan import batches
from fedlab_nb.learn.split import descend, lead
from fedlab_nb.vertical.cut.order import batch_order
from fedlab_nb.vertical.cut.shape import Shape, columns_read
from fedlab_nb.vertical.shared.meeting import Setup

Floats = NDArray[np.float64]


class Network(Protocol):
    """What a split network says of its shape and steps."""

    @property
    def cut(self) -> int | None:
        """Activations of each bottom."""

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of hidden layers."""

    @property
    def lr(self) -> float:
        """Rate of descent."""

    @property
    def batch_size(self) -> int | None:
        """Rows of a step."""


def plain_scores(
    network: Network, columns: Mapping[str, Floats], y: Floats, new: Mapping[str, Floats], setup: Setup, num_rounds: int
) -> Floats:
    """Scores (m, outputs) of ``new`` rows after ``num_rounds`` passes over ``columns`` of some owners, or of all."""
    here = setup.labels_at
    mine = replace(setup, owners=tuple(name for name in setup.owners if name in columns))
    shape = Shape(mine, columns_read(mine), network.cut, network.hidden)
    parts = {name: shape.start(name, setup.owners) for name in mine.owners}
    own = shape.bottom(here).size
    for number in range(1, num_rounds + 1):
        order = batch_order(mine, number)
        for start, stop in batches(len(y), network.batch_size):
            rows = order[start:stop]
            sent = [shape.bottom(name).forward(parts[name], columns[name][rows]) for name in mine.others]
            step = lead(shape.bottom(here), shape.top, parts[here], columns[here][rows], sent, y[rows], mine.task)
            parts[here] = parts[here] - network.lr * step.weights
            for name, back in zip(mine.others, step.activations, strict=True):
                gradient = descend(shape.bottom(name), parts[name], columns[name][rows], back)
                parts[name] = parts[name] - network.lr * gradient
    first = {**parts, here: parts[here][:own]}
    cut = [shape.bottom(name).forward(first[name], new[name]) for name in (here, *mine.others)]
    return shape.top.forward(parts[here][own:], np.concatenate(cut, axis=1))
