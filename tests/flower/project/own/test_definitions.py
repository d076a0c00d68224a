"""What of an object is a user's own is found, and the same object is made of other classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import fedlab_nb as fl
from fedlab_nb.flower.project.own import definitions, rebound


@dataclass(frozen=True)
class Scale:
    """A setting of a user's own."""

    factor: float


@dataclass(frozen=True)
class Other:
    """What stands in its place elsewhere."""

    factor: float


def rule(changes, weights, before=None):
    """A rule of a user's own."""


def another(changes, weights, before=None):
    """What stands in its place elsewhere."""


SWAP = {Scale: Other, rule: another}


def test_nothing_of_this_package_is_a_users_own() -> None:
    strategy = fl.FedAdam(fl.models.mlp(), aggregate=fl.aggregate.Median())
    assert definitions(strategy) == []
    assert rebound(strategy, SWAP.__getitem__) is strategy


def test_own_parts_are_found_wherever_they_are() -> None:
    parts = {"a": [Scale(1.0), (rule, 2)], "b": partial(rule, before=Scale(2.0)), "c": Scale}
    assert set(definitions(parts)) == {Scale, rule}
    again = rebound(parts, SWAP.__getitem__)
    assert again["a"] == [Other(1.0), (another, 2)]
    assert again["b"].func is another
    assert again["b"].keywords == {"before": Other(2.0)}
    assert again["c"] is Other
    assert parts["a"][0] == Scale(1.0)


def test_a_strategy_with_an_own_rule_keeps_all_else() -> None:
    strategy = fl.FedAvg(fl.models.logistic(), lr=0.3, aggregate=rule)
    again = rebound(strategy, SWAP.__getitem__)
    assert type(again) is fl.FedAvg
    assert again.aggregate is another
    assert (again.model, again.lr) == (strategy.model, 0.3)
