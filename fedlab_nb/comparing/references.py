"""What federated models are measured against: every owner alone, and all rows in one place, where that may be."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.cards import one_line
from fedlab_nb.data.intake import load
from fedlab_nb.errors import RuleError, SchemaError, SettingError
from fedlab_nb.horizontal.checks import starting_weights
from fedlab_nb.horizontal.evaluate import evaluate
from fedlab_nb.horizontal.prepare import Encoded, Setup, encoded, prepare
from fedlab_nb.learn import SGD, Architecture, Job, Learner
from fedlab_nb.parties import DataOwner, Federation, Rows
from fedlab_nb.parties.owner import inside_together
from fedlab_nb.parties.split import observed
from fedlab_nb.records import Scores
from fedlab_nb.rounds import Strategy

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What one training came to: its score on all held-out rows, that of each owner, and the seconds it took.

    Of owners that train alone, ``score`` is the mean over owners, and ``by_owner`` what each one's model has.
    """

    score: float
    by_owner: Mapping[str, Mapping[str, float]]
    seconds: float


@dataclass(frozen=True)
class Training:
    """Plain training: as many passes over the rows as an owner makes in a whole federated run, at the same pace."""

    model: Architecture
    lr: float
    epochs: int
    batch_size: int
    num_rounds: int
    momentum: float = 0.0
    weight_decay: float = 0.0

    @property
    def passes(self) -> int:
        """How often every row is seen."""
        return self.num_rounds * self.epochs

    def __call__(self, learner: Learner, setup: Setup, owner: int, data: Encoded, start: Floats) -> Floats:
        """The weights (d,) after all passes over ``data`` from ``start``: those of FedAvg over this owner alone."""
        rule, weights = SGD(self.lr, self.momentum, self.weight_decay), start
        for number in range(1, self.num_rounds + 1):
            job = Job((setup.seed, number, owner), *data, weights)
            weights = learner.train([job], rule, epochs=self.epochs, batch_size=self.batch_size)[0].weights
        return weights


def training_like(strategy: Strategy, federation: Federation, num_rounds: int) -> Training:
    """Plain training with the model and the local settings of ``strategy``.

    Raises:
        RuleError: if owners hold different columns.
        SettingError: if it has no model to train.
    """
    if federation.schema.id is not None:
        raise RuleError(
            "alone= or pooled= was given, and the owners hold different columns of the same rows.",
            "Both train on whole rows, and no owner has one; only the owner of the labels could train alone.",
            "Leave both out, and measure each strategy against that owner alone, and against pooled columns: "
            "fl.gain(federation, strategy, consent=federation.names).",
        )
    model = getattr(strategy, "model", None)
    if model is None:
        raise SettingError(
            f"{one_line(type(strategy).__name__)} has no attribute model.",
            "Owners alone, and pooled rows, are to train the model that the federation trains.",
            "Leave alone= and pooled= out, or give the strategy a model function, as fl.FedAvg has.",
        )
    settings = strategy.settings(federation, None)
    return Training(
        model,
        float(settings.get("lr", 0.1)),
        int(settings.get("local_epochs", 1)),
        getattr(strategy, "batch_size", None) or 16,
        num_rounds,
        getattr(strategy, "momentum", 0.0),
        getattr(strategy, "weight_decay", 0.0),
    )


def check_alone(federation: Federation) -> None:
    """Refuse to train owners alone where their models must not be seen.

    Raises:
        RuleError: under encryption or a privacy mechanism.
    """
    house = federation.house
    hidden = "encrypted" if house.encrypt is not None else "protected by noise" if house.protect is not None else ""
    if hidden:
        raise RuleError(
            f"alone=True was asked for, and what owners send is {hidden}.",
            "A model that an owner trains alone is shown to all others, who score it on their held-out rows: that is "
            "just what is hidden here.",
            "Compare over fl.Federation(owners) without protection, whose scores equal those under encryption to the "
            "bit, or leave alone= out.",
        )


def alone(federation: Federation, training: Training, metric: str, seed: int) -> Outcome:
    """Each owner trains on its own rows only; each model is told to all owners and scored on all held-out rows.

    All read columns as they agreed with each other, and begin with the weights of the federated runs of this seed.

    Raises:
        FedLabError: if an owner's training fails.
    """
    began = time.perf_counter()
    setup, learner, start = _ready(federation, training, seed)
    names = federation.names

    def work(name: str, rows: Rows) -> Floats:
        return training(learner, setup, names.index(name), encoded(rows, setup.encoding, "training"), start)

    models = federation.hear("model trained alone", work, number=0, debits=dict.fromkeys(names, ()))
    took = time.perf_counter() - began
    scores = {
        name: _scored(federation, setup, learner, np.asarray(models[name]), number).metrics
        for number, name in enumerate(names, 1)
    }
    known = [own[metric] for own in scores.values() if metric in own]
    return Outcome(float(np.mean(known)) if known else np.nan, scores, took)


def _ready(federation: Federation, training: Training, seed: int) -> tuple[Setup, Learner, Floats]:
    """How columns are read, the model, and the weights to begin with."""
    federation.begin(1, anew=True)
    setup = prepare(federation, training.num_rounds, seed)
    encoding = setup.encoding
    learner = Learner.of(training.model, encoding.n_inputs, encoding.n_outputs, encoding.task)
    return setup, learner, starting_weights(training.model, setup, seed)


def _scored(federation: Federation, setup: Setup, learner: Learner, weights: Floats, number: int) -> Scores:
    return evaluate(federation, setup, learner, weights, number, last=False, asked="", personal=None)


def table_as_owners(table: object, federation: Federation) -> tuple[DataOwner, DataOwner]:
    """The table in the lab's hands as two owners who read it as the federation's do, and hold out the same rows.

    Which rows are held out follows from each row's content: of the rows that the federation's owners have, it is those
    that they hold out.

    Raises:
        RuleError: for a federation or data owners: what is private may not be pooled.
        SettingError: if owners hold out different shares of their rows.
        SchemaError: if a column is missing.
    """
    several = list(table) if isinstance(table, list | tuple) else [table]
    if isinstance(table, Federation | bool) or any(isinstance(one, DataOwner) for one in several):
        raise RuleError(
            f"pooled= was given {table!r}." if isinstance(table, bool) else "pooled= was given owners, not a table.",
            "Rows of data owners are private, and never lie in one place; only a table that may be looked at can.",
            "Pass the table that the owners were made of, if it is yours: pooled=table; or leave pooled= out.",
        )
    shares = {owner.held_out for owner in federation.owners}
    if len(shares) > 1:
        raise SettingError(
            "pooled= was asked for, and the owners hold out different shares of their rows.",
            "The pooled model could not be scored on the same rows as the federated ones.",
            "Use the same held_out for all owners, or leave pooled= out.",
        )
    schema = federation.schema
    target, rows = schema.target.name, load(table)  # type: ignore[arg-type]
    names = [column.name for column in (*schema.features, schema.target)]
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise SchemaError(
            f"The table for pooled= has no column {missing[0]!r}.",
            "The pooled model is to learn from the same columns as the owners' models.",
            "Pass the table that the owners were made of.",
        )
    rows = rows.loc[rows[target].notna(), names]
    if schema.target.kind == "numeric":
        rows = rows.astype({target: float})  # few different whole numbers must not be taken for classes
    return _half(rows, 0, federation, shares.pop()), _half(rows, 1, federation, federation.owners[0].held_out)


def _half(rows: pd.DataFrame, which: int, federation: Federation, held_out: float) -> DataOwner:
    schema = federation.schema
    columns = (*schema.features, schema.target)
    return DataOwner(
        f"Half {which + 1} of the table",
        rows.iloc[which::2],
        target=schema.target.name,
        held_out=held_out,
        bounds={c.name: c.bounds for c in columns if c.bounds is not None},
        categories={c.name: c.categories or observed(rows[c.name]) for c in columns if c.kind == "category"},
    )


def pooled(halves: tuple[DataOwner, DataOwner], training: Training, metric: str, seed: int) -> Outcome:
    """The same model trained on all training rows of a table in one place, scored on the rows of it held out.

    Raises:
        FedLabError: if the training fails.
    """
    began = time.perf_counter()
    federation = Federation(halves)
    setup, learner, start = _ready(federation, training, seed)

    def work(rows: Mapping[str, Rows]) -> Floats:
        parts = [encoded(own, setup.encoding, "training") for own in rows.values()]
        X, y = (np.concatenate(both) for both in zip(*parts, strict=True))
        return training(learner, setup, 0, (X, y), start)

    weights = inside_together(halves, work, stage="training on pooled rows")
    took = time.perf_counter() - began
    return Outcome(_scored(federation, setup, learner, weights, 1).metrics.get(metric, np.nan), {}, took)
