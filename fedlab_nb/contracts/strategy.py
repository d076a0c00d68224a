"""The laws of a strategy, whoever wrote it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fedlab_nb.contracts.report import Broken, Law, Report, check_needs, examine
from fedlab_nb.contracts.trying.compared import check_asked, check_equal, check_near, holds
from fedlab_nb.contracts.trying.looking import called, chance_put_back, held_kind
from fedlab_nb.contracts.trying.made_up import Village
from fedlab_nb.contracts.trying.trial import ROUNDS, SEED, Trial, check_finite, looked_at, named
from fedlab_nb.crypto import CKKS
from fedlab_nb.data import encoding as enc
from fedlab_nb.data.samples import invented
from fedlab_nb.errors import FedLabError, RuleError
from fedlab_nb.horizontal.prepare import Setup
from fedlab_nb.parties import DataOwner, Federation, Rows
from fedlab_nb.parties.matrix import NEEDS
from fedlab_nb.records import Round, State
from fedlab_nb.rounds import Strategy, rounds

VERBS = ("check", "start", "step", "settings", "model_of", "spending", "evaluate")
# With this seed and six owners, nobody comes to the first round, three to the second and one to the third.
COMING_AND_GOING: dict[str, Any] = {"sample_rate": 0.5, "dropout": 0.2}
MEMORY = "Keep what is to be remembered in the state: State(weights, memory={...}, context=state.context)."
ROAD = "Pass work to federation.gather(...), collect or hear, and what owners are told to federation.tell(...)."


def check_strategy(strategy: Strategy, federation: Federation | None = None) -> Report:
    """Whether a strategy keeps the laws of one, tried for a few rounds on made-up owners.

    It may be one of ours, a subclass of ``horizontal.averaging.Averaging`` with its own ``local`` and ``serve``, or
    anything with the verbs of ``rounds.Strategy``. It is tried on six owners of a small table; with a ``federation``,
    as many as it has, with the same names and columns: its own owners are asked nothing. Copies of the strategy are
    tried, so that it stays as it is.

    A law that cannot be tried, such as encryption where the strategy says that it needs to read single updates, is
    listed as not tried. What work beside one owner's rows hands to the server by a variable of its own, no check sees.

    Raises:
        RuleError: a strategy for owners of different columns, which ``fl.gain`` measures.

    >>> import fedlab_nb as fl
    >>> check_strategy(fl.FedAvg(fl.models.logistic()))
    Report(the strategy FedAvg(logistic()): all 13 laws hold)
    """
    _check_same_columns(strategy)
    case = _Case(Trial(strategy, Village.like(federation)))
    laws = [Law(sentence, trial) for sentence, trial, tried in case.laws if tried]
    untried = tuple(sentence for sentence, _, tried in case.laws if not tried)
    with chance_put_back():
        report = examine(f"the strategy {called(strategy)}", laws)
    return replace(report, untried=(*report.untried, *untried))


def _check_same_columns(strategy: object) -> None:
    if hasattr(strategy, "labels_at"):
        raise RuleError(
            f"{type(strategy).__name__} was given, a strategy for owners of different columns.",
            "The laws that are tried here are about sums over owners of the same columns.",
            "Measure it against the same algorithm on pooled columns: fl.gain(federation, strategy, "
            "consent=federation.names).",
        )


@dataclass(frozen=True)
class _Case:
    """A strategy on trial; every method but ``laws`` is the trial of one law."""

    trial: Trial

    @property
    def laws(self) -> list[tuple[str, Callable[[], None], bool]]:
        """Sentence, trial, and whether it can be tried."""
        said = getattr(self.trial.strategy, "needs", ())
        needs = said if isinstance(said, tuple) else ()  # anything else is refused by the first law
        known = [NEEDS[need] for need in needs if isinstance(need, str) and need in NEEDS]
        sums = all(need.ckks.works for need in known)
        return [
            (
                "It has known needs and the verbs of a strategy, which give what they should; rounds go through.",
                self.verbs,
                True,
            ),
            ("It leaves the state that it is given as it is.", self.inputs, True),
            ("It reads what it says that it needs beyond a sum, and no more.", self.needs, True),
            ("Owners and server know of each other only what crossed through the federation.", self.road, True),
            ("Neither its state nor what crosses holds a cell of anybody's rows.", self.cells, True),
            ("Chance comes from the seed: generators that others share are left alone.", self.chance, True),
            ("Equal seeds give equal bits.", self.again, True),
            ("What it did in another run does not matter.", self.memory, True),
            ("A run that goes on after a round equals the uninterrupted one, bit for bit.", self.resumed, True),
            ("The order of a round's owners does not matter.", self.order, "group sums" not in needs),
            ("A round without anybody is a legal round.", self.nobody, True),
            ("Owners may stay away, or have no rows: that is a round, or refused in words.", self.some, True),
            ("Encrypted sums give the weights that open ones give.", self.encrypted, sums),
        ]

    def verbs(self) -> None:
        """All verbs are there, and a walk through three rounds finds nothing wrong with what they give."""
        strategy = self.trial.strategy
        if inspect.isclass(strategy):
            raise Broken(f"{strategy.__name__} is a class.", f"Pass an object of it: {strategy.__name__}(...).")
        lacking = [verb for verb in VERBS if not callable(getattr(strategy, verb, None))]
        if lacking:
            raise Broken(
                f"A {type(strategy).__name__} has no {', no '.join(lacking)}.",
                "Give it the verbs of fedlab_nb.rounds.Strategy, or derive it from "
                "fedlab_nb.horizontal.averaging.Averaging, which has them all.",
            )
        check_needs(getattr(strategy, "needs", ()), list(NEEDS))
        self.trial.walk  # noqa: B018 - each of its steps is looked at
        self.trial.base  # noqa: B018 - the loop goes through as well

    def inputs(self) -> None:
        """States are the same afterwards."""
        _, steps = self.trial.walk
        for step in steps:
            if step.altered:
                raise Broken(
                    f"After round {step.number} the state that it was given, or had given, had other numbers.",
                    'Work on a copy, state.weights["server"].copy(), and avoid += and writing into [...].',
                )

    def needs(self) -> None:
        """What was asked of owners is what its needs say."""
        needs = getattr(self.trial.strategy, "needs", ())
        _, steps = self.trial.walk
        told = any(asked.verb == "hear" and asked.numbers for step in steps for asked in step.asked)
        for step in steps:
            for asked in step.asked:
                check_asked(asked, step.cohort, needs)
        read = told or any(asked.verb == "collect" or len(asked.of) == 1 for step in steps for asked in step.asked)
        if "single updates" in needs and not read:
            raise Broken(
                'It says needs = ("single updates",), and reads none.',
                "Leave that need out: it would be refused under encryption for nothing.",
            )

    def road(self) -> None:
        """Messages there and back, and nobody looks in at owners by another way."""
        self.trial.walk  # noqa: B018 - whoever looks in does it there
        if self.trial.door.forced:
            raise Broken(f"It reached the rows of {self.trial.door.forced[0]!r} past the federation.", ROAD)
        late = "late arrivals" in getattr(self.trial.strategy, "needs", ())
        for step in self.trial.walk[1]:
            told, heard = {m.receiver for m in step.messages}, {m.sender for m in step.messages}
            for names, what in ((told, "was sent nothing"), (heard, "sent nothing")):
                silent = [name for name in step.cohort if name not in names]
                if silent and not (late and len(silent) < len(step.cohort)):
                    raise Broken(f"In round {step.number} {silent[0]!r} {what}, as the ledger has it.", ROAD)

    def cells(self) -> None:
        """No object that holds rows, and no number that stands in a cell."""
        strategy, federation, played = self.trial.plain
        last = played[-1]
        kept = [strategy, last.state, last.metrics, last.owner_metrics]
        if kind := held_kind(kept, DataOwner, Rows, Federation):
            raise Broken(f"It keeps a {kind}.", MEMORY)
        sent = [(m.kind, m.payload) for m in federation.ledger.messages if m.peek.readable]
        opened = [(kind, p.restore() if hasattr(p, "restore") else p) for kind, p in sent]
        for value in self._marks(last.state):
            for what, thing in [("its state or its scores", kept), *((f"the message {k!r}", p) for k, p in opened)]:
                if holds(thing, value):
                    raise Broken(
                        f"A number that stands in a cell of an owner's rows was found in {what}.",
                        "Send and keep what is computed over all of an owner's rows, such as a sum or a change.",
                    )

    def chance(self) -> None:
        """Shared generators are as they were."""
        _, moved = self.trial.twin
        if moved:
            raise Broken(
                f"It drew from, or seeded, the shared generator of {' and of '.join(moved)}.",
                "Make a generator from what is passed in: rng = np.random.default_rng([seed, number]).",
            )

    def again(self) -> None:
        """Two runs, the same bits."""
        again, _ = self.trial.twin
        check_equal(
            again,
            self.trial.base,
            "Two runs from one seed",
            "Draw only from generators made of the seed and the round: np.random.default_rng([seed, number]).",
        )

    def memory(self) -> None:
        """A run, one from another seed, and the first one again."""
        used = self.trial.fresh()
        self.trial.play(used, seed=SEED + 7, num_rounds=1)
        check_equal(self.trial.play(used, stop=2), self.trial.base, "A run and the same run after another one", MEMORY)

    def resumed(self) -> None:
        """One round, then the others in a new federation."""
        (first,) = self.trial.play(stop=1)
        context = first.state.context
        lacking = [name for name in ("owners", "schema", "seed") if not hasattr(context, name)]
        if lacking:
            raise Broken(
                f"The context of its state has no {', no '.join(lacking)}: no run could go on from it.",
                "Let start give State(weights, context=prepare(federation, num_rounds, seed)), from "
                "fedlab_nb.horizontal.prepare.",
            )
        rest = self.trial.play(after=first, where="After one round, going on")
        check_equal(
            [first, *rest], self.trial.base, "A run that went on after its first round, and one without a stop,", MEMORY
        )

    def order(self) -> None:
        """Owners called in reverse order."""
        federation = self.trial.federation(turned=True)
        turned = self.trial.play(federation=federation, stop=2, where="With owners in reverse order")
        check_near(
            turned,
            self.trial.base,
            "With the owners of each round in reverse order the weights were others.",
            "Add up over all owners, and choose none by its place; keep what belongs to an owner by its name.",
        )

    def nobody(self) -> None:
        """An empty cohort before the first round and after the second one."""
        start, steps = self.trial.walk
        for number, state in ((1, start), (ROUNDS, steps[-2].gave)):
            strategy, federation = self.trial.fresh(), self.trial.federation()
            federation.round_begins(())
            where = f"In round {number}, without anybody,"
            try:
                gave = strategy.step(state, federation, number, (), last=False)
            except Exception as error:
                said = error.what if isinstance(error, FedLabError) else named(error)
                raise Broken(f"{where} it raised {said}", "Return the state as it is where cohort is empty.") from error
            check_finite(looked_at("step", gave), state, where)

    def some(self) -> None:
        """Rounds that few owners come to, and one owner without rows to train on."""
        tried = [("With owners that come and go", self.trial.federation(**COMING_AND_GOING), 3)]
        if len(self.trial.village.names) > 2:
            tried.append(("With an owner that has no rows", self.trial.federation(without_rows=True), 2))
        for where, federation, most in tried:
            with self.trial.told(where):
                records = self._unless_refused(federation, most)
            for record in records:
                error = record.failed.error if record.failed else None
                said = self.trial.raised_beside_rows()
                if said or getattr(error, "party", "") in federation.names:
                    raise Broken(
                        f"{where}, round {record.number} failed: {said or getattr(error, 'what', '')}",
                        "Divide by nothing that may be zero: a number of owners or of rows, a sum of weights.",
                    )
                if error is None:
                    check_finite(record.state, record.state, f"{where}, after round {record.number},")

    def _unless_refused(self, federation: Federation, most: int) -> list[Round]:
        """The rounds of the loop; none if it was refused in words before the first one."""
        try:
            played = rounds(federation, self.trial.fresh(), num_rounds=most, seed=SEED)
        except FedLabError:
            return []
        return [*played]

    def encrypted(self) -> None:
        """The plain run and an encrypted one."""
        federation = self.trial.federation(encrypt=CKKS())
        sealed = self.trial.play(federation=federation, stop=2, where="With encrypted updates")
        check_near(
            sealed,
            self.trial.base,
            "With encrypted updates the weights were others than with open ones.",
            "Compute from what gather returns, never from payloads in the ledger; or say what it needs, such as "
            'needs = ("single updates",).',
        )

    def _marks(self, state: State) -> Sequence[float]:
        """What stands in the marked cells: the number itself, and how the model reads it."""
        mark = self.trial.village.mark
        if mark is None:
            return ()
        column, value = mark
        if not isinstance(state.context, Setup):
            return (value,)
        encoding, frame = state.context.encoding, invented(self.trial.village.schema, 1)
        frame[column] = value
        read = float(enc.encode(frame, encoding)[0, encoding.feature_names.index(column)])
        return (value, read) if abs(read) not in (0.0, 1.0) else (value,)
