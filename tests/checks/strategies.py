"""Strategies as users would type them: right ones, and ones that each do one thing wrong."""

import random
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

import fedlab_nb as fl
from fedlab_nb.horizontal.averaging import Averaging
from fedlab_nb.horizontal.prepare import encoded, prepare
from fedlab_nb.horizontal.trained import trained
from fedlab_nb.parties.shown.trust import spending
from fedlab_nb.records import Scores, State, Update

LOGISTIC = fl.models.logistic()


# Right ones.


@dataclass(frozen=True, repr=False)
class Halves(Averaging):
    """A subclass with a line of its own: half of the mean change."""

    def serve(self, state, mean, came):
        return state.weights["server"] + 0.5 * mean, {}


@dataclass(frozen=True, repr=False)
class Momentum(Averaging):
    """A subclass that remembers, where it should."""

    def serve(self, state, mean, came):
        speed = 0.5 * state.memory.get("speed", np.zeros_like(mean)) + mean
        return state.weights["server"] + speed, {"speed": speed}


class Descent:
    """Written from nothing: logistic regression in NumPy, one gradient step a round."""

    lr = 0.5

    def check(self, federation, num_rounds, *, seed=0, after=None):
        pass

    def start(self, federation, *, num_rounds, seed):
        setup = prepare(federation, num_rounds, seed)
        return State({"server": np.zeros(setup.encoding.n_inputs + 1)}, context=setup)

    def gradient(self, weights, rows, setup):
        X, y = encoded(rows, setup.encoding, "training")
        X = np.column_stack([X, np.ones(len(X))])
        return X.T @ (1.0 / (1.0 + np.exp(-X @ weights)) - y.ravel())

    def step(self, state, federation, number, cohort, *, last):
        if not cohort:
            return state
        weights, setup = state.weights["server"], state.context
        federation.tell("model", weights.astype(np.float32), number=number, to=cohort)

        def work(name, rows):
            return Update(self.gradient(weights, rows, setup), float(len(rows.training[1])))

        mean = self.asked(federation, work, number, cohort)
        return State({"server": weights - self.lr * mean}, state.memory, setup)

    def asked(self, federation, work, number, cohort):
        debits = dict.fromkeys(cohort, ())
        return federation.gather("gradient", work, number=number, cohort=cohort, bound=1000.0, debits=debits).mean

    def settings(self, federation, state):
        return {"lr": self.lr}

    def evaluate(self, state, federation, number, *, last):
        return Scores()

    def model_of(self, state):
        return trained(LOGISTIC, state.weights["server"], state.context.encoding)

    def spending(self, federation, record, num_rounds):
        return spending(federation)


class Everybody(Descent):
    """Says in words that all owners have to come."""

    def check(self, federation, num_rounds, *, seed=0, after=None):
        if federation.house.sample_rate < 1.0:
            raise fl.errors.SettingError("Some owners stay away.", "All have to come.", "Use sample_rate=1.")


RIGHT = [Halves(LOGISTIC), Momentum(fl.models.mlp(3)), Descent(), Everybody()]


# Broken ones: each has the law that it breaks, what is found, and what to do.


class NoVerbs:
    """Nothing at all."""

    def check(self, federation, num_rounds, *, seed=0, after=None):
        pass


class GivesWeights(Descent):
    def start(self, federation, *, num_rounds, seed):
        return super().start(federation, num_rounds=num_rounds, seed=seed).weights["server"]


class GivesNothing(Descent):
    def step(self, state, federation, number, cohort, *, last):
        super().step(state, federation, number, cohort, last=last)


class Matrix(Descent):
    def start(self, federation, *, num_rounds, seed):
        state = super().start(federation, num_rounds=num_rounds, seed=seed)
        return State({"server": state.weights["server"][None]}, context=state.context)


class Listed(Descent):
    def step(self, state, federation, number, cohort, *, last):
        new = super().step(state, federation, number, cohort, last=last)
        return State(new.weights, {"rounds": [number]}, new.context)


class ScoresAsDict(Descent):
    def evaluate(self, state, federation, number, *, last):
        return {"accuracy": 0.9}


class TextSetting(Descent):
    def settings(self, federation, state):
        return {"lr": "0.5"}


class NoModel(Descent):
    def model_of(self, state):
        return state.weights["server"]


class NoSpending(Descent):
    def spending(self, federation, record, num_rounds):
        return None


class Raises(Descent):
    def gradient(self, weights, rows, setup):
        return np.zeros(3) + np.zeros(4)


class Refuses(Descent):
    def check(self, federation, num_rounds, *, seed=0, after=None):
        raise fl.errors.SettingError("It has 6 owners.", "It needs more.", "Bring 600.")


class Grows(Descent):
    def step(self, state, federation, number, cohort, *, last):
        new = super().step(state, federation, number, cohort, last=last)
        return State({"server": np.append(new.weights["server"], 0.0)}, {}, new.context) if number == 3 else new


class DividesByZero(Descent):
    """A weight of each coordinate by how far it moved since the round before: 0 / 0 at first."""

    def step(self, state, federation, number, cohort, *, last):
        new = super().step(state, federation, number, cohort, last=last)
        far = new.weights["server"] * 0.0
        return State({"server": new.weights["server"] + far / np.abs(far).sum()}, {}, new.context)


class InPlace(Descent):
    def step(self, state, federation, number, cohort, *, last):
        new = super().step(state, federation, number, cohort, last=last)
        state.weights["server"][:] = new.weights["server"]
        return state


class ScalesOnScoring(Descent):
    def evaluate(self, state, federation, number, *, last):
        weights = state.weights["server"]
        weights /= 2.0
        return Scores()


class OddNeeds(Descent):
    needs = ("everything",)


class Collects(Descent):
    """Reads each owner's gradient, takes the median, and says nothing of it."""

    def asked(self, federation, work, number, cohort):
        debits = dict.fromkeys(cohort, ())
        found = federation.collect("gradient", work, number=number, cohort=cohort, bound=1000.0, debits=debits)
        return np.median([update.mean for update in found.values() if update.weight], axis=0)


class HearsLosses(Descent):
    def step(self, state, federation, number, cohort, *, last):
        new = super().step(state, federation, number, cohort, last=last)
        debits = dict.fromkeys(cohort, ())
        federation.hear("loss", lambda name, rows: np.ones(1), number=number, to=cohort, debits=debits)
        return new


class OneByOne(Descent):
    """Opens a sum over each owner alone."""

    def asked(self, federation, work, number, cohort):
        sums = [super(OneByOne, self).asked(federation, work, number, [name]) for name in cohort]
        return np.mean(sums, axis=0)


class FirstTwo(Descent):
    def asked(self, federation, work, number, cohort):
        return super().asked(federation, work, number, sorted(cohort)[:2])


class NeedsForNothing(Descent):
    needs = ("single updates",)


class PastTheRoad(Descent):
    """Adds up beside the owners' rows by itself."""

    def asked(self, federation, work, number, cohort):
        owners = [owner for owner in federation.owners if owner.name in cohort]
        updates = [owner._inside(lambda rows, n=owner.name: work(n, rows), stage="own") for owner in owners]
        return sum(update.value for update in updates) / sum(update.weight for update in updates)


class TellsNobody(Descent):
    def step(self, state, federation, number, cohort, *, last):
        class Silent:
            names = federation.names
            gather = federation.gather

            @staticmethod
            def tell(*args, **kwargs):
                pass

        return super().step(state, Silent, number, cohort, last=last)


class KeepsRows(Descent):
    """Remembers somebody's row."""

    def step(self, state, federation, number, cohort, *, last):
        new, kept = super().step(state, federation, number, cohort, last=last), {}

        def work(name, rows):
            kept[name] = encoded(rows, state.context.encoding, "training")[0].astype(float)
            return Update(np.zeros(1), 1.0)

        if cohort:
            debits = dict.fromkeys(cohort, ())
            federation.gather("count", work, number=number, cohort=cohort, bound=10.0, debits=debits)
        return State(new.weights, kept, new.context)


class SendsRows(Descent):
    needs = ("owner statistics",)

    def step(self, state, federation, number, cohort, *, last):
        new = super().step(state, federation, number, cohort, last=last)

        def column(name, rows):
            return rows.training[0].iloc[:, 0].to_numpy()

        federation.hear("ages", column, number=number, to=cohort, debits=dict.fromkeys(cohort, ()))
        return new


class KeepsFederation(Descent):
    def check(self, federation, num_rounds, *, seed=0, after=None):
        self.federation = federation


class GlobalNumPy(Descent):
    def start(self, federation, *, num_rounds, seed):
        state = super().start(federation, num_rounds=num_rounds, seed=seed)
        return State({"server": state.weights["server"] + np.random.normal()}, context=state.context)  # noqa: NPY002


class SeedsPython(Descent):
    def start(self, federation, *, num_rounds, seed):
        random.seed(seed)
        return super().start(federation, num_rounds=num_rounds, seed=seed)


class SeedsTorch(Descent):
    def start(self, federation, *, num_rounds, seed):
        import torch

        torch.manual_seed(seed)
        return super().start(federation, num_rounds=num_rounds, seed=seed)


class Unseeded(Descent):
    def asked(self, federation, work, number, cohort):
        mean = super().asked(federation, work, number, cohort)
        return mean + np.random.default_rng().normal(size=mean.size)


class OnItself(Descent):
    """Momentum kept on the object."""

    def __init__(self):
        self.speed = 0.0

    def asked(self, federation, work, number, cohort):
        self.speed = 0.5 * self.speed + super().asked(federation, work, number, cohort)
        return self.speed


class Shrinks(Descent):
    """A step that shrinks with the messages so far: in a federation of its own, a run that goes on has few of them."""

    def asked(self, federation, work, number, cohort):
        return super().asked(federation, work, number, cohort) / (1 + len(federation.ledger))


class NoContext(Descent):
    """Keeps its setup to itself, so that no run can go on."""

    def start(self, federation, *, num_rounds, seed):
        self.setup = super().start(federation, num_rounds=num_rounds, seed=seed).context
        return State({"server": np.zeros(self.setup.encoding.n_inputs + 1)})

    def step(self, state, federation, number, cohort, *, last):
        new = super().step(State(state.weights, {}, self.setup), federation, number, cohort, last=last)
        return State(new.weights)

    def model_of(self, state):
        return super().model_of(State(state.weights, {}, self.setup))


class FirstWins(Descent):
    """Counts the first owner of a round double."""

    def asked(self, federation, work, number, cohort):
        def double(name, rows):
            update = work(name, rows)
            return Update(update.value * (1 + (name == cohort[0])), update.weight)

        return super().asked(federation, double, number, cohort)


class CrashesOnNobody(Descent):
    def step(self, state, federation, number, cohort, *, last):
        boss = cohort[0]
        new = super().step(state, federation, number, cohort, last=last)
        return new if boss else state


class NobodyIsNaN(Descent):
    def step(self, state, federation, number, cohort, *, last):
        if not cohort:
            return State({"server": state.weights["server"] * np.nan}, {}, state.context)
        return super().step(state, federation, number, cohort, last=last)


class MeanOfRows(Descent):
    """Divides by an owner's rows beside them: one has none."""

    def gradient(self, weights, rows, setup):
        return super().gradient(weights, rows, setup) / len(rows.training[1])


class AllOrNothing(Descent):
    """Takes it that all owners come to every round."""

    def step(self, state, federation, number, cohort, *, last):
        new = super().step(state, federation, number, cohort, last=last)
        if not cohort:
            return new
        each = dict(zip(cohort, range(len(cohort)), strict=True))
        return new if sum(each[name] for name in federation.names) else state


class ReadsTheLedger(Descent):
    """Moves along the first owner's payload where it can read it."""

    def asked(self, federation, work, number, cohort):
        mean = super().asked(federation, work, number, cohort)
        sent = [m.payload for m in federation.ledger.messages if (m.kind, m.sender) == ("gradient", "Owner 1")]
        return mean + (sent[-1][:-1] if isinstance(sent[-1], np.ndarray) else 0.0)


@dataclass(frozen=True, repr=False)
class Endless(Averaging):
    """Steps so long that weights leave what 32-bit numbers hold."""

    gain: float = field(default=1e300, kw_only=True)
    title: ClassVar[str] = "Endless"

    def serve(self, state, mean, came):
        return state.weights["server"] + self.gain * mean, {}


def first_rule(changes, weights):
    return changes[0]


first_rule.needs = ()

VERBS, INPUTS, NEEDS = "the verbs of a strategy", "state that it is given", "says that it needs"
ROAD, CELLS, CHANCE, AGAIN = "what crossed", "holds a cell", "generators that others share", "Equal seeds"
MEMORY, RESUMED, ORDER, NOBODY = "in another run", "goes on after", "order of a round", "without anybody"
SOME, ENCRYPTED = "may stay away", "Encrypted sums"

BROKEN = [
    (Descent, VERBS, "Descent is a class.", "Descent(...)"),
    (NoVerbs(), VERBS, "A NoVerbs has no start, no step, no settings", "horizontal.averaging.Averaging"),
    (GivesWeights(), VERBS, "start gave a ndarray, not a State", "State(weights, memory, context)"),
    (GivesNothing(), VERBS, "step gave nothing (None), not a State", "State(weights, memory, context)"),
    (Matrix(), VERBS, "start gave weights of shape (1, ", "one flat vector (d,)"),
    (Listed(), VERBS, "memory['rounds'] is a list", "NumPy arrays"),
    (ScoresAsDict(), VERBS, "evaluate gave a dict, not Scores", "Scores(metrics="),
    (TextSetting(), VERBS, "settings gave 'lr' as a str, not as a number", "Leave out"),
    (NoModel(), VERBS, "model_of gave a ndarray, which cannot predict", "predict"),
    (NoSpending(), VERBS, "spending gave nothing (None), not Spending", "parties.shown.trust"),
    (Raises(), VERBS, "In round 1 beside the rows it raised ValueError: operands could not", "fl.rounds(federation"),
    (Refuses(), VERBS, "Before the first round it refused: It has 6 owners.", "Bring 600. If it is made for other"),
    (Endless(LOGISTIC), VERBS, "In round 1 it refused: After this round's step the model has weights beyond", "Lower"),
    (Grows(), VERBS, "After round 3 it had 7 weights, not 6.", "size"),
    (DividesByZero(), VERBS, "After round 1 6 of 6 weights were not finite", "division by zero"),
    (InPlace(), INPUTS, "After round 1 the state that it was given", ".copy()"),
    (ScalesOnScoring(), INPUTS, "After round 1 the state that it was given, or had given", ".copy()"),
    (OddNeeds(), VERBS, "needs=('everything',)", "single updates"),
    (Collects(), NEEDS, "read each owner's 'gradient' by itself", 'needs = ("single updates",)'),
    (HearsLosses(), NEEDS, "heard numbers ('loss') from each owner", "owner statistics"),
    (OneByOne(), NEEDS, "a sum over one owner alone ('gradient')", "the whole cohort"),
    (FirstTwo(), NEEDS, "a sum over 2 of a round's 6 owners", "group sums"),
    (NeedsForNothing(), NEEDS, "reads none", "Leave that need out"),
    (PastTheRoad(), ROAD, "reached the rows of 'Owner 1' past the federation", "federation.gather"),
    (TellsNobody(), ROAD, "In round 1 'Owner 1' was sent nothing", "federation.tell"),
    (FirstTwo(), ROAD, "In round 1 'Owner 3' sent nothing", "federation.gather"),
    (KeepsRows(), CELLS, "found in its state or its scores", "such as a sum"),
    (SendsRows(), CELLS, "found in the message 'ages'", "such as a sum"),
    (KeepsFederation(), CELLS, "It keeps a Federation.", "memory="),
    (GlobalNumPy(), CHANCE, "the shared generator of np.random", "np.random.default_rng([seed, number])"),
    (SeedsPython(), CHANCE, "the shared generator of random", "default_rng"),
    (SeedsTorch(), CHANCE, "the shared generator of torch", "default_rng"),
    (GlobalNumPy(), AGAIN, "differed in round 1", "default_rng"),
    (Unseeded(), AGAIN, "Two runs from one seed differed in round 1", "default_rng([seed, number])"),
    (OnItself(), MEMORY, "after another one differed in round 1", "memory={...}"),
    (OnItself(), RESUMED, "differed in round 2", "memory={...}"),
    (Shrinks(), RESUMED, "differed in round 2", "memory={...}"),
    (NoContext(), RESUMED, "has no owners, no schema, no seed", "prepare(federation"),
    (FirstWins(), ORDER, "in reverse order the weights were others", "none by its place"),
    (CrashesOnNobody(), NOBODY, "it raised IndexError: tuple index out of range", "where cohort is empty"),
    (NobodyIsNaN(), NOBODY, "6 of 6 weights were not finite", "division by zero"),
    (AllOrNothing(), SOME, "With owners that come and go it raised KeyError", "fl.rounds"),
    (
        MeanOfRows(),
        SOME,
        "With an owner that has no rows, round 1 failed: The gradient of 'Owner 1' has",
        "may be zero",
    ),
    (Collects(), ENCRYPTED, "With encrypted updates", "federation.gather"),
    (ReadsTheLedger(), ENCRYPTED, "the weights were others than with open ones", "what gather returns"),
    (fl.FedAvg(LOGISTIC, aggregate=first_rule), ENCRYPTED, "updates are hidden here", "groups=5"),
]
